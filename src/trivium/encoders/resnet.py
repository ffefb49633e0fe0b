"""Residual networks for photographs and for small images."""

from collections import OrderedDict
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50

from trivium.encoders.layers import every_token
from trivium.encoders.patches import Patches
from trivium.types import DataSpec, Encoder, Features

DEPTHS = {18: resnet18, 50: resnet50}


class ResNet(Encoder):
    """ResNet-18 or ResNet-50 (1512.03385) made of torchvision's blocks, without its classifier.

    `Features.tokens` are the cells of the last feature map in row-major order, `pooled` their mean.
    Weights and images are laid out channels-last.

    Args:
        data: An image dataset's spec.
        name: The encoder's yaml name.
        depth: 18 or 50.
        stem_kind: `imagenet` (7x7 of stride 2 and a max-pool) or `small` (3x3 of stride 1 and
            no max-pool, as SimCLR does for CIFAR-10, 2002.05709, appendix B.9).
        patch: Side in pixels of the patches that are predicted where the input is.

    Raises:
        ValueError: The data are not images, or a setting is none of the choices.
    """

    contextual: ClassVar[bool] = False

    def __init__(
        self,
        data: DataSpec,
        *,
        name: str,
        depth: int = 18,
        stem_kind: Literal["imagenet", "small"] = "small",
        patch: int = 4,
    ):
        super().__init__()
        if depth not in DEPTHS:
            raise ValueError(f"there is no ResNet of depth {depth}; choose 18 or 50.")
        if stem_kind not in ("imagenet", "small"):
            raise ValueError(f"stem_kind is {stem_kind!r}; choose imagenet or small.")
        self.keep_arguments(locals())
        self.stem: Patches = Patches(data, patch=patch)
        network = DEPTHS[depth]()
        self.width = self.token_width = network.fc.in_features
        if stem_kind == "small":
            network.maxpool = nn.Identity()
        if stem_kind == "small" or self.stem.channels != 3:
            network.conv1 = _first_convolution(self.stem.channels, stem_kind)
        kept = ((key, part) for key, part in network.named_children() if key not in _HEAD)
        self.trunk = nn.Sequential(OrderedDict(kept)).to(memory_format=torch.channels_last)

    def forward(
        self,
        values: Float[Tensor, "batch channel height width"],
        valid: Bool[Tensor, "batch token"] | None = None,  # noqa: ARG002
    ) -> Features:
        """Encode whole images in [0, 1]."""
        standardised = self.stem.standardise(values).to(memory_format=torch.channels_last)
        tokens = self.trunk(standardised).flatten(2).transpose(1, 2)
        return Features(tokens, tokens.mean(dim=1), every_token(tokens))


_HEAD = ("avgpool", "fc")


def _first_convolution(channels: int, stem_kind: str) -> nn.Conv2d:
    kernel, stride = (3, 1) if stem_kind == "small" else (7, 2)
    convolution = nn.Conv2d(channels, 64, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution
