"""Separable resampling of a batch: one small weight matrix per sample and axis.

Cropping, scaling, shifting, flipping and blurring are linear and separable, so each is
`rows @ image @ columns`: two batched matrix products, whatever the mixture.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


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
    """Linear interpolation at pixel positions, as weights over an axis of `size` pixels.

    Position 0 is the centre of the first pixel. Beyond the edges weights fall to zero: what
    lies outside is black.
    """
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

    Bilinear with antialiasing and half-pixel centres, as `torchvision` with `antialias=True`:
    where the cut shrinks, the triangle is as wide as the shrinking; where it grows, this is
    plain linear interpolation. Pixels outside of the cut never contribute.
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
