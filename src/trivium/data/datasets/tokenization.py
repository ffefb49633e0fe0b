"""How a dataset's texts become ids."""

from collections.abc import Mapping

from trivium.data.config import section, text_length
from trivium.data.writer import TokenizerSettings


def tokenization(config: Mapping[str, object]) -> TokenizerSettings:
    """The config's `tokenizer`, and the most tokens that an encoder is shown (`spec.shape`).

    Raises:
        ConfigError: the shape is no length.
    """
    return TokenizerSettings(section(config, "tokenizer"), text_length(config))
