"""Mirroring."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from typing_extensions import override

from trivium.views.draw import chosen
from trivium.views.op import RandomOp, Shape


class FlipParameters(NamedTuple):
    """Which samples are mirrored."""

    chosen: Bool[Tensor, " batch"]


class RandomHorizontalFlip(RandomOp[FlipParameters]):
    """Mirror left and right; RandomResizedCrop and RandomShift do it at no extra cost.

    Args:
        p: Probability, per sample.
    """

    def __init__(self, *, p: float = 0.5) -> None:
        super().__init__(p)

    def sample(self, shape: Shape, generator: torch.Generator | None = None) -> FlipParameters:
        """Choose the samples."""
        return FlipParameters(chosen(shape[0], self.p, generator))

    @override
    def change_(
        self,
        images: Float[Tensor, "batch channel height width"],
        parameters: FlipParameters,
    ) -> Float[Tensor, "batch channel height width"]:
        """Mirror every image."""
        return images.flip(3)
