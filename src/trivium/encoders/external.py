"""Encoders of the timm and transformers libraries."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from trivium.encoders.layers import TextPooling, every_token, pool_text
from trivium.encoders.patches import Patches
from trivium.encoders.text import Ids
from trivium.types import BOS, EOS, PAD, DataSpec, Encoder, Features, Modality, plain


class TimmEncoder(Encoder):
    """Any image encoder that timm (an extra) can create, behind the same `Features`.

    `Features.tokens` are its last feature map or patch tokens, `Features.pooled` its own pooling.

    Args:
        data: An image dataset's spec.
        name: The encoder's yaml name.
        model: timm's name, e.g. `resnet10t` or `vit_tiny_patch16_224`.
        pretrained: Whether to start from timm's published weights, fetched now; a saved encoder
            holds its own weights.
        patch: Side in pixels of the patches that are predicted where the input is.
        options: More architecture settings for `timm.create_model`, e.g. `img_size`.

    Raises:
        ImportError: timm is not installed.
        ValueError: timm does not know the architecture or a setting of it.
    """

    contextual: ClassVar[bool] = False

    def __init__(
        self,
        data: DataSpec,
        *,
        name: str,
        model: str,
        pretrained: bool = False,
        patch: int = 4,
        options: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        options = plain(options or {})
        self.keep_arguments(locals(), pretrained=False)
        self.stem: Patches = Patches(data, patch=patch)
        self.trunk = _create_timm(model, pretrained, self.stem.channels, options)
        self.width = int(self.trunk.head_hidden_size)
        self.token_width = int(self.trunk.num_features)

    def forward(
        self,
        values: Float[Tensor, "batch channel height width"],
        valid: Bool[Tensor, "batch token"] | None = None,  # noqa: ARG002
    ) -> Features:
        """Encode whole images in [0, 1]."""
        encoded = self.trunk.forward_features(self.stem.standardise(values))
        tokens = self._as_tokens(encoded)
        return Features(tokens, self.trunk.forward_head(encoded), every_token(tokens))

    def _as_tokens(self, encoded: Tensor) -> Tensor:
        if encoded.ndim == 3:
            return encoded[:, getattr(self.trunk, "num_prefix_tokens", 0) :]
        if getattr(self.trunk, "output_fmt", "NCHW") == "NHWC":
            return encoded.flatten(1, 2)
        return encoded.flatten(2).transpose(1, 2)


def _create_timm(model: str, pretrained: bool, channels: int, options: Mapping[str, Any]) -> Any:
    try:
        import timm
    except ImportError as error:
        raise ImportError(
            "this encoder needs the timm library: pip install -e '.[timm]'."
        ) from error
    if not timm.is_model(model):
        raise ValueError(
            f"timm {timm.__version__} has no architecture {model!r}: see timm.list_models()."
        )
    forbidden = _FILES.intersection(options)
    if forbidden:
        raise ValueError(
            f"options may describe the architecture only, but name {sorted(forbidden)}: "
            "remove them, and use pretrained for published weights."
        )
    try:
        created: nn.Module = timm.create_model(
            model, pretrained=pretrained, in_chans=channels, num_classes=0, **options
        )
    except TypeError as error:
        raise ValueError(
            f"timm's {model} does not take the options {dict(options)}: {error}"
        ) from error
    return created


_FILES = {"checkpoint_path", "cache_dir", "pretrained_cfg", "pretrained_cfg_overlay"}


NEAR = 1e-4
"""How far two outputs may differ and yet be the same."""


class TransformersEncoder(Encoder):
    """Any text encoder that transformers (an extra) can configure, behind the same `Features`.

    It is trained from random weights on the ids of the dataset's own tokenizer. `Features.tokens`
    is its last hidden state.

    Args:
        data: A text dataset's spec.
        name: The encoder's yaml name.
        model: transformers' model type, e.g. `bert`, `gpt2` or `llama`.
        pooling: `mean` over the valid tokens, `cls` (the begin of the text) or the `last` token.
        causal: Whether a token sees only itself and the tokens before it; must be true of `model`.
        options: More settings of the model's configuration, e.g. `hidden_size`.

    Raises:
        ImportError: transformers is not installed.
        ValueError: transformers cannot build the model, the data are not texts, or `causal` is not
            what the model does.
    """

    contextual: ClassVar[bool] = False
    modality: ClassVar[Modality] = "text"

    def __init__(
        self,
        data: DataSpec,
        *,
        name: str,
        model: str,
        pooling: TextPooling = "mean",
        causal: bool = False,
        options: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        if pooling not in ("mean", "cls", "last"):
            raise ValueError(f"pooling is {pooling!r}; choose mean, cls or last.")
        options = plain(options or {})
        self.keep_arguments(locals())
        self.stem: Ids = Ids(data)
        self.pooling: TextPooling = pooling
        self.causal = causal
        self.trunk = _create_transformers(model, data, options)
        self.width = self.token_width = int(self.trunk.config.hidden_size)
        self._check_direction(model)

    def forward(
        self,
        values: Int64[Tensor, "batch token"],
        valid: Bool[Tensor, "batch token"] | None = None,
    ) -> Features:
        """Encode ids; `valid` None means that every token counts."""
        tokens = self._hidden(values, valid)
        counted = every_token(tokens) if valid is None else valid
        return Features(tokens, pool_text(self.pooling, tokens, valid), counted)

    def _hidden(self, values: Tensor, valid: Tensor | None) -> Float[Tensor, "batch token channel"]:
        mask = torch.ones_like(values) if valid is None else valid.long()
        hidden: Tensor = self.trunk(input_ids=values, attention_mask=mask).last_hidden_state
        return hidden

    @torch.no_grad()
    def _check_direction(self, model: str) -> None:
        """Whether the first token's output depends on the last one, by trying it."""
        if next(self.parameters()).is_meta:
            return
        self.eval()
        first, second = (
            torch.tensor([[BOS, 4 % self.stem.target_width, end]]) for end in (EOS, BOS)
        )
        change = (self._hidden(first, None) - self._hidden(second, None))[0, 0].abs().max()
        self.train()
        if self.causal != bool(change < NEAR):
            raise ValueError(
                f"encoder.causal is {self.causal}, but a token of transformers' {model} sees "
                f"{'the whole text' if self.causal else 'the tokens before it alone'}: set "
                f"encoder.causal={str(not self.causal).lower()}."
            )


def _create_transformers(model: str, data: DataSpec, options: Mapping[str, Any]) -> Any:
    try:
        from transformers import AutoConfig, AutoModel
    except ImportError as error:
        raise ImportError(
            "this encoder needs the transformers library: pip install -e '.[transformers]'."
        ) from error
    own = {"vocab_size", "pad_token_id", "bos_token_id", "eos_token_id"} & set(options)
    if own:
        raise ValueError(f"options name {sorted(own)}, which the dataset's tokenizer says.")
    ids = {"vocab_size": data.vocabulary, "pad_token_id": PAD, "bos_token_id": BOS}
    try:
        config = AutoConfig.for_model(model, **ids, eos_token_id=EOS, **options)
        created: nn.Module = AutoModel.from_config(config)
    except Exception as error:  # the library raises whatever its parts do
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"transformers cannot build {model!r} with the options {dict(options)}: {reason}"
        ) from error
    return created
