"""Luminance, and random loss of colour."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from typing_extensions import override

from trivium.views.draw import chosen
from trivium.views.op import RandomOp, Shape

LUMINANCE = (0.2989, 0.587, 0.114)
"""Shares of red, green and blue (ITU-R 601-2, with torchvision's rounding)."""


def luminance(
    images: Float[Tensor, "batch 3 *space"],
) -> Float[Tensor, "batch 1 *space"]:
    """Brightness as the eye weighs it, of images or of channel means alike."""
    red, green, blue = (images[:, channel : channel + 1] for channel in range(3))
    red_share, green_share, blue_share = LUMINANCE
    return red.mul(red_share).add_(green, alpha=green_share).add_(blue, alpha=blue_share)


class GreyParameters(NamedTuple):
    """Which samples lose their colour."""

    chosen: Bool[Tensor, " batch"]


class RandomGreyscale(RandomOp[GreyParameters]):
    """Replace all three channels by the luminance; single-channel images stay as they are.

    Args:
        p: Probability, per sample.
    """

    def __init__(self, *, p: float = 0.2) -> None:
        super().__init__(p)

    def sample(self, shape: Shape, generator: torch.Generator | None = None) -> GreyParameters:
        """Choose the samples."""
        return GreyParameters(chosen(shape[0], self.p, generator))

    def transform_(
        self,
        images: Float[Tensor, "batch channel height width"],
        parameters: GreyParameters,
    ) -> Float[Tensor, "batch channel height width"]:
        """Grey the chosen images in place."""
        return images if images.shape[1] == 1 else super().transform_(images, parameters)

    @override
    def change_(
        self, images: Float[Tensor, "batch 3 height width"], parameters: GreyParameters
    ) -> Float[Tensor, "batch 3 height width"]:
        """Grey every image."""
        return images.copy_(luminance(images))
