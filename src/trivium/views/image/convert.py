"""From stored pixels to numbers."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from typing_extensions import override

from trivium.views.op import NoParameters, Op, Shape


class ToFloat(Op[NoParameters]):
    """Turn uint8 pixels into float32 in [0, 1]; floating images only change their precision."""

    @override
    def sample(self, shape: Shape, generator: torch.Generator | None = None) -> NoParameters:
        """Draw nothing."""
        return NoParameters()

    @override
    def transform_(
        self,
        images: Shaped[Tensor, "batch channel height width"],
        parameters: NoParameters,
    ) -> Float[Tensor, "batch channel height width"]:
        """Convert a batch.

        Raises:
            ValueError: the images are neither uint8 nor floating.
        """
        if images.is_floating_point():
            return images.to(torch.float32)
        if images.dtype != torch.uint8:
            raise ValueError(
                f"images must be uint8 in [0, 255] or float in [0, 1], got {images.dtype}"
            )
        return images.to(torch.float32).mul_(1.0 / 255.0)
