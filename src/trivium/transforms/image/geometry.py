"""Transforms of geometry: resampling, random resized crops, flips, translations.

Cropping, scaling, shifting, flipping and blurring are linear and separable, so each is
`rows @ image @ columns`: two batched matrix products, whatever the mixture.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from typing_extensions import override

from trivium.transforms.base import (
    Choice,
    Op,
    RandomOp,
    Shape,
    check_interval,
    check_probability,
    chosen,
    to_device,
    uniform,
)


def resample(
    images: Float[Tensor, "batch channel height width"],
    rows: Float[Tensor, "batch out_height height"],
    columns: Float[Tensor, "batch out_width width"],
) -> Float[Tensor, "batch channel out_height out_width"]:
    """Mix the rows and the columns of every image by its own weights.

    `images` are overwritten by the result where it has their size.
    """
    batch, channel, height, width = images.shape
    out_height, out_width = rows.shape[1], columns.shape[1]
    half = torch.bmm(images.reshape(batch, channel * height, width), columns.mT)
    half = half.view(batch, channel, height, out_width)
    if (out_height, out_width) == (height, width) and images.is_contiguous():
        return torch.matmul(rows[:, None], half, out=images)
    return torch.matmul(rows[:, None], half)


def tap_weights(
    positions: Float[Tensor, "batch out"], size: int
) -> Float[Tensor, "batch out size"]:
    """Linear interpolation at pixel positions, as weights over `size` pixels; outside is black."""
    pixels = torch.arange(size, dtype=positions.dtype, device=positions.device)
    return positions[:, :, None].sub(pixels).abs_().neg_().add_(1.0).clamp_(min=0.0)


def crop_weights(
    start: Int64[Tensor, " batch"],
    length: Int64[Tensor, " batch"],
    flip: Bool[Tensor, " batch"],
    size: int,
    out_size: int,
) -> Float[Tensor, "batch out size"]:
    """Weights that cut `length` pixels from `start` and scale them to `out_size`.

    Bilinear with antialiasing and half-pixel centres, as `torchvision` with `antialias=True`.
    Pixels outside of the cut never contribute.
    """
    first = start[:, None].float()
    last = first + (length[:, None] - 1)
    scale = length[:, None].float() / out_size
    steps = torch.arange(out_size, dtype=torch.float32, device=start.device) + 0.5
    positions = torch.addcmul(first - 0.5, scale, steps)
    positions = torch.where(flip[:, None], positions.flip(1), positions)
    if size <= out_size:
        return tap_weights(positions.clamp_(first, last), size)
    pixels = torch.arange(size, dtype=torch.float32, device=start.device)
    distance = positions[:, :, None].sub(pixels).abs_().div_(scale.clamp(min=1.0)[:, :, None])
    inside = ((pixels >= first) & (pixels <= last))[:, None]
    weights = distance.neg_().add_(1.0).clamp_(min=0.0).mul_(inside)
    return weights.div_(weights.sum(2, keepdim=True))


_ATTEMPTS = 10


class CropParameters(NamedTuple):
    """The box that each sample keeps, in pixels, and whether it is mirrored."""

    top: Int64[Tensor, " batch"]
    left: Int64[Tensor, " batch"]
    height: Int64[Tensor, " batch"]
    width: Int64[Tensor, " batch"]
    flip: Bool[Tensor, " batch"]


class RandomResizedCrop(Op[CropParameters]):
    """Cut a random box, scale it to one size, and mirror it: one resampling for all three.

    Boxes are distributed as in torchvision's RandomResizedCrop: area uniform in `scale`, aspect
    ratio log-uniform in `ratio`, ten attempts, then a central box. Interpolation is bilinear with
    antialiasing.

    Args:
        size: Height and width of the result in pixels; None keeps the size of the input.
        downscale: The result's sides are the input's divided by this and rounded down.
        scale: Smallest and largest share of the area that a box covers, in (0, 1].
        ratio: Smallest and largest width / height of a box.
        flip: Probability of mirroring, per sample.
        p: Probability of cropping, per sample; the others keep the whole picture.

    Raises:
        ValueError: A bound or probability is out of its range, or both `size` and `downscale` are
            given.
    """

    def __init__(
        self,
        *,
        size: int | Sequence[int] | None = None,
        downscale: int = 1,
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        flip: float = 0.0,
        p: float = 1.0,
    ) -> None:
        super().__init__()
        self.size = (size, size) if isinstance(size, int) else size and (size[0], size[1])
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"size must be positive, got {size}")
        if downscale < 1 or (downscale > 1 and self.size is not None):
            raise ValueError(
                f"downscale must be a positive integer, and 1 where size is given; got {downscale}"
            )
        self.downscale = downscale
        self.scale = check_interval("scale", scale, 1e-6, 1.0)
        self.ratio = check_interval("ratio", ratio, 1e-6, 1e6)
        self.flip = check_probability("flip", flip)
        self.p = check_probability("p", p)

    def output_shape(self, shape: Shape) -> Shape:
        """Sizes after the crop."""
        smaller = (max(1, side // self.downscale) for side in shape[2:])
        return (*shape[:2], *(self.size or smaller))

    def sample(self, shape: Shape, generator: torch.Generator | None = None) -> CropParameters:
        """Draw a box and a mirror for every sample."""
        batch, _, height, width = shape
        area = uniform((batch, _ATTEMPTS), *self.scale, generator).mul_(height * width)
        bounds = math.log(self.ratio[0]), math.log(self.ratio[1])
        ratio = uniform((batch, _ATTEMPTS), *bounds, generator).exp_()
        place = uniform((2, batch), 0.0, 1.0, generator)
        flip = chosen(batch, self.flip, generator)
        cropped = chosen(batch, self.p, generator)

        widths = (area * ratio).sqrt_().round_()
        heights = (area / ratio).sqrt_().round_()
        fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
        first = fits.byte().argmax(1, keepdim=True)
        found = fits.gather(1, first).flatten()
        central = _central_box(height, width, self.ratio)
        box_height = heights.gather(1, first).flatten().where(found, float(central[0]))
        box_width = widths.gather(1, first).flatten().where(found, float(central[1]))
        box_height = box_height.where(cropped, float(height))
        box_width = box_width.where(cropped, float(width))
        return CropParameters(
            top=_offset(place[0], height - box_height, found),
            left=_offset(place[1], width - box_width, found),
            height=box_height.long(),
            width=box_width.long(),
            flip=flip,
        )

    def transform_(
        self,
        images: Float[Tensor, "batch channel height width"],
        parameters: CropParameters,
    ) -> Float[Tensor, "batch channel out_height out_width"]:
        """Cut, scale and mirror."""
        height, width = images.shape[2:]
        _, _, out_height, out_width = self.output_shape(tuple(images.shape))
        top, left, box_height, box_width, flip = to_device(parameters, images.device)
        upright = torch.zeros_like(flip)
        return resample(
            images,
            rows=crop_weights(top, box_height, upright, height, out_height),
            columns=crop_weights(left, box_width, flip, width, out_width),
        )


def _central_box(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int]:
    """Height and width of the largest box whose aspect ratio is allowed."""
    if width / height < ratio[0]:
        return max(1, min(height, round(width / ratio[0]))), width
    if width / height > ratio[1]:
        return height, max(1, min(width, round(height * ratio[1])))
    return height, width


def _offset(
    place: Float[Tensor, " batch"], slack: Float[Tensor, " batch"], found: Bool[Tensor, " batch"]
) -> Int64[Tensor, " batch"]:
    """A whole number in [0, slack]: uniform as `place` is in [0, 1), or central if not found."""
    random = place.mul(slack + 1).floor_().minimum(slack)
    return random.where(found, (slack / 2).floor_()).long()


class RandomHorizontalFlip(RandomOp[Choice]):
    """Mirror left and right; RandomResizedCrop and RandomShift do it at no extra cost."""

    def __init__(self, *, p: float = 0.5) -> None:
        super().__init__(p)

    @override
    def change_(
        self,
        images: Float[Tensor, "batch channel height width"],
        parameters: Choice,
    ) -> Float[Tensor, "batch channel height width"]:
        """Mirror every image."""
        return images.flip(3)


class ShiftParameters(NamedTuple):
    """Where each sample's window begins, in pixels from the image's corner; and its mirror."""

    top: Int64[Tensor, " batch"]
    left: Int64[Tensor, " batch"]
    flip: Bool[Tensor, " batch"]


class RandomShift(Op[ShiftParameters]):
    """Translate by whole pixels, black moving in, and mirror: pad-and-crop in one resampling.

    `fraction` is the largest shift as a share of the side (0.125 is 4 pixels at 32), `flip` the
    probability of mirroring.

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
