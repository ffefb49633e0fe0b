"""Encoders of the timm library."""

from collections.abc import Mapping
from typing import Any, ClassVar

from jaxtyping import Bool, Float
from torch import Tensor, nn

from trivium.encoders.patches import Patches
from trivium.encoders.settings import plain
from trivium.encoders.validity import every_token
from trivium.types import DataSpec, Encoder, Features


class TimmEncoder(Encoder):
    """Any image encoder that timm can create, behind the same `Features`.

    `Features.tokens` are its last feature map or patch tokens (without cls and register
    tokens) and `Features.pooled` is what its own pooling gives. Needs the extra `timm`.

    Args:
        data: An image dataset's facts.
        name: The encoder's yaml name.
        model: timm's name, e.g. `resnet10t` or `vit_tiny_patch16_224`.
        pretrained: Whether to start from timm's published weights. They are fetched now;
            a saved encoder holds its own weights and never fetches.
        patch: Side in pixels of the patches that objectives which predict the input predict.
        options: More architecture settings for `timm.create_model`, e.g. `img_size`.

    Raises:
        ImportError: If timm is not installed.
        ValueError: If timm does not know the architecture or a setting of it.
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
        self.name = name
        options = plain(options or {})
        self.arguments = {
            "data": data.plain(),
            "name": name,
            "model": model,
            "pretrained": False,
            "patch": patch,
            "options": options,
        }
        self.stem: Patches = Patches(data, patch=patch)
        self.trunk = _create(model, pretrained, self.stem.channels, options)
        self.width = int(self.trunk.head_hidden_size)
        self.token_width = int(self.trunk.num_features)

    def forward(
        self,
        values: Float[Tensor, "batch channel height width"],
        valid: Bool[Tensor, "batch token"] | None = None,
    ) -> Features:
        """Encode images in [0, 1]; they have no invalid parts, so `valid` must be None."""
        if valid is not None:
            raise ValueError("a timm encoder sees whole images: valid must be None.")
        encoded = self.trunk.forward_features(self.stem.standardise(values))
        tokens = self._as_tokens(encoded)
        return Features(tokens, self.trunk.forward_head(encoded), every_token(tokens))

    def _as_tokens(self, encoded: Tensor) -> Tensor:
        if encoded.ndim == 3:
            return encoded[:, getattr(self.trunk, "num_prefix_tokens", 0) :]
        if getattr(self.trunk, "output_fmt", "NCHW") == "NHWC":
            return encoded.flatten(1, 2)
        return encoded.flatten(2).transpose(1, 2)


def _create(model: str, pretrained: bool, channels: int, options: Mapping[str, Any]) -> Any:
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
