"""What parsers share: groups of samples, parts of one modality, tokenisation."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from trivium.data.config import section, sound_settings, text_length
from trivium.data.formats.media import Clips
from trivium.data.writer import Parsed, TokenizerSettings, Waves
from trivium.types import MODALITIES, Modality


def connected(keys: Sequence[Iterable[object]]) -> np.ndarray:
    """The group of each sample: samples that share a key, or are linked by others, are one."""
    ids: dict[object, int] = {}
    pairs = [
        (row, ids.setdefault(key, len(ids))) for row, of_row in enumerate(keys) for key in of_row
    ]
    rows, columns = np.array(pairs, np.int64).T
    num = len(keys) + len(ids)
    edges = coo_array((np.ones(len(rows)), (rows, len(keys) + columns)), (num, num))
    _, component = connected_components(edges, directed=False)
    _, groups = np.unique(component[: len(keys)], return_inverse=True)
    return groups.astype(np.int64)


_NONE = np.empty(0, np.int64)


def image_part(pictures: np.ndarray) -> Parsed:
    """Pictures, uint8 [row, channel, height, width], without labels and splits."""
    return Parsed({"image": pictures}, {}, {}, _NONE, _NONE)


def text_part(texts: Sequence[str], config: Mapping[str, object]) -> Parsed:
    """Texts with the tokenizer and the length of a config of text, without labels and splits."""
    return Parsed({}, {}, {}, _NONE, _NONE, texts=texts, tokenizer=tokenization(config))


def audio_part(clips: Clips, config: Mapping[str, object]) -> Parsed:
    """Decoded sounds with the spectrogram of a config of audio, without labels and splits."""
    waves = Waves(clips.flat, clips.offsets, *sound_settings(config))
    return Parsed({}, {}, {}, _NONE, _NONE, waves=waves)


def in_order(names: Iterable[str]) -> tuple[Modality, ...]:
    """Modalities in the order of `MODALITIES`."""
    chosen = set(names)
    return tuple(one for one in MODALITIES if one in chosen)


def tokenization(config: Mapping[str, object]) -> TokenizerSettings:
    """The config's `tokenizer`, and the most tokens that an encoder is shown (`spec.shape`).

    Raises:
        ConfigError: the shape is no length.
    """
    return TokenizerSettings(section(config, "tokenizer"), text_length(config))
