"""Standardisation per channel."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from trivium.views.op import NoParameters, Op, Shape


class Normalise(Op[NoParameters]):
    """Subtract each channel's mean and divide by its standard deviation.

    Encoders standardise their own input, so no default recipe holds this operation; it serves
    encoders from elsewhere. Later operations that clamp to [0, 1] must come before it.

    Args:
        mean: One value per channel, or one for all.
        std: One positive value per channel, or one for all.

    Raises:
        ValueError: a standard deviation is not positive.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if not all(value > 0 for value in std):
            raise ValueError(f"std must be positive in every channel, got {list(std)}")
        self.register_buffer("mean", torch.tensor([*mean]).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([*std]).view(-1, 1, 1), persistent=False)

    @override
    def sample(self, shape: Shape, generator: torch.Generator | None = None) -> NoParameters:
        """Draw nothing."""
        return NoParameters()

    @override
    def transform_(
        self,
        images: Float[Tensor, "batch channel height width"],
        parameters: NoParameters,
    ) -> Float[Tensor, "batch channel height width"]:
        """Standardise a batch in place."""
        return images.sub_(self.mean.to(images.device)).div_(self.std.to(images.device))
