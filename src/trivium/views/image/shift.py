"""Random translation by whole pixels."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from trivium.views.draw import check_probability, chosen, uniform
from trivium.views.image.resample import resample, tap_weights
from trivium.views.op import Op, Shape, to_device


class ShiftParameters(NamedTuple):
    """Where each sample's window begins, in pixels from the image's corner; and its mirror."""

    top: Int64[Tensor, " batch"]
    left: Int64[Tensor, " batch"]
    flip: Bool[Tensor, " batch"]


class RandomShift(Op[ShiftParameters]):
    """Translate by whole pixels, black moving in, and mirror: pad-and-crop in one resampling.

    The usual augmentation of supervised training on small images: 4 pixels at 32.

    Args:
        fraction: Largest shift as a share of the side, in [0, 1); 0.125 is 4 pixels at 32.
        flip: Probability of mirroring, per sample.

    Raises:
        ValueError: `fraction` or `flip` is out of its range.
    """

    def __init__(self, *, fraction: float = 0.125, flip: float = 0.0) -> None:
        super().__init__()
        if not 0.0 <= fraction < 1.0:
            raise ValueError(f"fraction must lie in [0, 1), got {fraction}")
        self.fraction = fraction
        self.flip = check_probability("flip", flip)

    def sample(self, shape: Shape, generator: torch.Generator | None = None) -> ShiftParameters:
        """Draw a shift and a mirror for every sample."""
        batch, _, height, width = shape
        place = uniform((2, batch), 0.0, 1.0, generator)
        reach = [round(self.fraction * side) for side in (height, width)]
        top, left = (
            axis.mul(2 * most + 1).floor_().clamp_(max=2 * most).long() - most
            for axis, most in zip(place, reach, strict=True)
        )
        return ShiftParameters(top, left, chosen(batch, self.flip, generator))

    def transform_(
        self,
        images: Float[Tensor, "batch channel height width"],
        parameters: ShiftParameters,
    ) -> Float[Tensor, "batch channel height width"]:
        """Translate and mirror."""
        height, width = images.shape[2:]
        top, left, flip = to_device(parameters, images.device)
        down = torch.arange(height, device=images.device) + top[:, None]
        across = torch.arange(width, device=images.device) + left[:, None]
        across = torch.where(flip[:, None], across.flip(1), across)
        return resample(
            images, tap_weights(down.float(), height), tap_weights(across.float(), width)
        )
