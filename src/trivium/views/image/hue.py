"""Rotation of the hue, without branches."""

import torch
from jaxtyping import Float
from torch import Tensor


def shift_hue_(
    images: Float[Tensor, "batch 3 height width"], turns: Float[Tensor, " batch"]
) -> Float[Tensor, "batch 3 height width"]:
    """Rotate the hue of each image in place by its own share of a full turn, in [-0.5, 0.5].

    Exactly the rotation in HSV (torchvision's `adjust_hue`), but comparisons and selections
    per pixel are dear, so the six sectors of the hue are never told apart. With channels
    r, g, b scaled to a largest value of 1 and a smallest of 0, the hue lies g + b - r + 1
    sixths of a turn away from red, on the side that g - b says. Back again, each channel is
    the clamped distance of the hue from that channel's own place on the circle.
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
