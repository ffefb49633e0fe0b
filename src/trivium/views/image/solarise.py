"""Solarisation."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from typing_extensions import override

from trivium.views.draw import check_interval, chosen
from trivium.views.op import RandomOp, Shape


class SolariseParameters(NamedTuple):
    """Which samples are solarised."""

    chosen: Bool[Tensor, " batch"]


class RandomSolarise(RandomOp[SolariseParameters]):
    """Invert all values at or above a threshold, as torchvision's `solarize`.

    Args:
        threshold: In [0, 1]; 0.5 is BYOL's (2006.07733, appendix B), half of the range.
        p: Probability, per sample.

    Raises:
        ValueError: the threshold is outside [0, 1].
    """

    def __init__(self, *, threshold: float = 0.5, p: float = 0.2) -> None:
        super().__init__(p)
        self.threshold, _ = check_interval("threshold", (threshold, 1.0), 0.0, 1.0)

    def sample(self, shape: Shape, generator: torch.Generator | None = None) -> SolariseParameters:
        """Choose the samples."""
        return SolariseParameters(chosen(shape[0], self.p, generator))

    @override
    def change_(
        self,
        images: Float[Tensor, "batch channel height width"],
        parameters: SolariseParameters,
    ) -> Float[Tensor, "batch channel height width"]:
        """Solarise every image."""
        return torch.where(images >= self.threshold, 1.0 - images, images)
