"""Transforms of colour: greyscale, hue, jitter, solarisation."""

from collections.abc import Callable, Sequence
from itertools import groupby, permutations
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from typing_extensions import override

from trivium.transforms.base import (
    Choice,
    RandomOp,
    Shape,
    check_interval,
    chosen,
    to_device,
    uniform,
)

LUMINANCE = (0.2989, 0.587, 0.114)
"""Shares of red, green and blue (ITU-R 601-2, with torchvision's rounding)."""


def luminance(
    images: Float[Tensor, "batch 3 *space"],
) -> Float[Tensor, "batch 1 *space"]:
    """Luminance of images or of channel means."""
    red, green, blue = (images[:, channel : channel + 1] for channel in range(3))
    red_share, green_share, blue_share = LUMINANCE
    return red.mul(red_share).add_(green, alpha=green_share).add_(blue, alpha=blue_share)


class RandomGreyscale(RandomOp[Choice]):
    """Replace all three channels by the luminance; single-channel images stay as they are."""

    def __init__(self, *, p: float = 0.2) -> None:
        super().__init__(p)

    def transform_(
        self,
        images: Float[Tensor, "batch channel height width"],
        parameters: Choice,
    ) -> Float[Tensor, "batch channel height width"]:
        """Grey the chosen images in place."""
        return images if images.shape[1] == 1 else super().transform_(images, parameters)

    @override
    def change_(
        self, images: Float[Tensor, "batch 3 height width"], parameters: Choice
    ) -> Float[Tensor, "batch 3 height width"]:
        """Grey every image."""
        return images.copy_(luminance(images))


def shift_hue_(
    images: Float[Tensor, "batch 3 height width"], turns: Float[Tensor, " batch"]
) -> Float[Tensor, "batch 3 height width"]:
    """Rotate the hue of each image in place by its own share of a full turn, in [-0.5, 0.5].

    The rotation in HSV (torchvision's `adjust_hue`) without comparisons per pixel. With channels r,
    g, b scaled to a largest value of 1 and a smallest of 0, the hue lies g + b - r + 1 sixths of a
    turn away from red, on the side that g - b says; back again, each channel is the clamped
    distance of the hue from that channel's own position on the circle.
    """
    red, green, blue = images.unbind(1)
    low = torch.minimum(red, green)
    torch.minimum(low, blue, out=low)
    chroma = torch.maximum(red, green)
    torch.maximum(chroma, blue, out=chroma).sub_(low)

    hue = (green + blue).sub_(red).sub_(low).div_(chroma.clamp(min=1e-12)).add_(1.0)
    hue.copysign_(green - blue).div_(6.0)
    hue.add_(turns[:, None, None] + 1.0).frac_().mul_(6.0)

    torch.addcmul(low - chroma, chroma, (hue - 3.0).abs_().clamp_(1.0, 2.0), out=red)
    low.add_(chroma, alpha=2.0)
    torch.addcmul(low, chroma, (hue - 2.0).abs_().clamp_(1.0, 2.0), value=-1.0, out=green)
    torch.addcmul(low, chroma, (hue - 4.0).abs_().clamp_(1.0, 2.0), value=-1.0, out=blue)
    return images


Images = Float[Tensor, "batch channel height width"]

ORDERS = tuple(permutations(("brightness", "contrast", "saturation", "hue")))
"""All orders of the four changes; `JitterParameters.order` counts in this list."""


class JitterParameters(NamedTuple):
    """Each sample's choice, factors, share of a hue turn, and order of the four changes."""

    chosen: Bool[Tensor, " batch"]
    brightness: Float[Tensor, " batch"]
    contrast: Float[Tensor, " batch"]
    saturation: Float[Tensor, " batch"]
    hue: Float[Tensor, " batch"]
    order: Int64[Tensor, " batch"]


class ColourJitter(RandomOp[JitterParameters]):
    """Change brightness, contrast, saturation and hue by factors drawn for each sample.

    Factors, clamps and colour formulas are torchvision's. The order of the four changes is drawn
    anew for every `num_together` consecutive samples (1 is torchvision's order per sample; more
    keep whole groups in one sequence of operations). On a single channel saturation and hue do
    nothing.

    Args:
        brightness: Half-width b of the factors [max(0, 1 - b), 1 + b], or the two bounds.
        contrast: The same for the contrast with the image's mean luminance.
        saturation: The same for the contrast with each pixel's luminance.
        hue: Largest share of a turn in [0, 0.5], or the two bounds in [-0.5, 0.5].
        p: Probability, per sample.
        num_together: Consecutive samples that share an order.

    Raises:
        ValueError: An argument is out of its range, or images have neither 1 nor 3 channels.
    """

    def __init__(
        self,
        *,
        brightness: float | Sequence[float] = 0.0,
        contrast: float | Sequence[float] = 0.0,
        saturation: float | Sequence[float] = 0.0,
        hue: float | Sequence[float] = 0.0,
        p: float = 1.0,
        num_together: int = 64,
    ) -> None:
        super().__init__(p)
        if num_together < 1:
            raise ValueError(f"num_together must be at least 1, got {num_together}")
        self.brightness = _factors("brightness", brightness)
        self.contrast = _factors("contrast", contrast)
        self.saturation = _factors("saturation", saturation)
        bounds = (-hue, hue) if isinstance(hue, int | float) else hue
        self.hue = check_interval("hue", bounds, -0.5, 0.5)
        self.num_together = num_together

    def sample(self, shape: Shape, generator: torch.Generator | None = None) -> JitterParameters:
        """Draw choices, factors and orders."""
        batch = shape[0]
        num_groups = -(-batch // self.num_together)
        order = uniform((num_groups,), 0.0, float(len(ORDERS)), generator).long()
        return JitterParameters(
            chosen=chosen(batch, self.p, generator),
            brightness=uniform((batch,), *self.brightness, generator),
            contrast=uniform((batch,), *self.contrast, generator),
            saturation=uniform((batch,), *self.saturation, generator),
            hue=uniform((batch,), *self.hue, generator),
            order=order.clamp_(max=len(ORDERS) - 1).repeat_interleave(self.num_together)[:batch],
        )

    def change_(self, images: Images, parameters: JitterParameters) -> Images:
        """Jitter every image, in runs of samples that share an order."""
        if images.shape[1] not in (1, 3):
            raise ValueError(
                f"colour jitter needs images with 1 or 3 channels, got {images.shape[1]}"
            )
        orders = parameters.order.tolist()
        parameters = to_device(parameters, images.device)
        start = 0
        for order, run in groupby(orders):
            part = slice(start, start + sum(1 for _ in run))
            for name in ORDERS[order]:
                if self._acts(name, images.shape[1]):
                    _CHANGES[name](images[part], getattr(parameters, name)[part])
            start = part.stop
        return images

    def _acts(self, name: str, num_channels: int) -> bool:
        """Whether a change can alter anything."""
        neutral = 0.0 if name == "hue" else 1.0
        colour = num_channels == 3 or name in ("brightness", "contrast")
        return colour and getattr(self, name) != (neutral, neutral)


def scale_brightness_(images: Images, factor: Float[Tensor, " batch"]) -> Images:
    """Multiply each image in place, clamped to [0, 1]."""
    return images.mul_(factor[:, None, None, None]).clamp_(0.0, 1.0)


def scale_contrast_(images: Images, factor: Float[Tensor, " batch"]) -> Images:
    """Scale each image's distance from its mean luminance in place, clamped to [0, 1]."""
    means = images.mean((2, 3), keepdim=True)
    mean = luminance(means) if images.shape[1] == 3 else means
    factor = factor[:, None, None, None]
    return images.mul_(factor).add_(mean.mul_(1.0 - factor)).clamp_(0.0, 1.0)


def scale_saturation_(images: Images, factor: Float[Tensor, " batch"]) -> Images:
    """Scale each pixel's distance from its luminance in place, clamped to [0, 1]."""
    factor = factor[:, None, None, None]
    grey = luminance(images).mul_(1.0 - factor)
    return images.mul_(factor).add_(grey).clamp_(0.0, 1.0)


_CHANGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": scale_brightness_,
    "contrast": scale_contrast_,
    "saturation": scale_saturation_,
    "hue": shift_hue_,
}


def _factors(name: str, value: float | Sequence[float]) -> tuple[float, float]:
    """Bounds of a factor from its half-width around 1, or from bounds."""
    if not isinstance(value, int | float):
        return check_interval(name, value, 0.0, float("inf"))
    if value < 0:
        raise ValueError(f"{name} must not be negative, got {value}")
    return max(0.0, 1.0 - value), 1.0 + value


class RandomSolarise(RandomOp[Choice]):
    """Invert all values at or above a threshold, as torchvision's `solarize`.

    0.5 is BYOL's (2006.07733, appendix B).

    Raises:
        ValueError: The threshold is outside [0, 1].
    """

    def __init__(self, *, threshold: float = 0.5, p: float = 0.2) -> None:
        super().__init__(p)
        self.threshold, _ = check_interval("threshold", (threshold, 1.0), 0.0, 1.0)

    @override
    def change_(
        self,
        images: Float[Tensor, "batch channel height width"],
        parameters: Choice,
    ) -> Float[Tensor, "batch channel height width"]:
        """Solarise every image."""
        return torch.where(images >= self.threshold, 1.0 - images, images)
