"""Gaussian blur with a width of its own for each sample."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trivium.views.draw import check_interval, chosen, uniform
from trivium.views.image.resample import resample
from trivium.views.op import RandomOp, Shape, to_device


class BlurParameters(NamedTuple):
    """Which samples are blurred, and their standard deviation in pixels."""

    chosen: Bool[Tensor, " batch"]
    sigma: Float[Tensor, " batch"]


class RandomGaussianBlur(RandomOp[BlurParameters]):
    """Blur with a truncated Gaussian and reflected borders, as torchvision's `gaussian_blur`.

    Args:
        kernel_size: Odd number of taps; None takes a tenth of the shorter side, made odd and
            at least 3, as SimCLR (2002.05709, appendix A).
        sigma: Bounds of the standard deviation in pixels, uniform.
        p: Probability, per sample.

    Raises:
        ValueError: `kernel_size` is even or too large for the image, or `sigma` not positive.
    """

    def __init__(
        self,
        *,
        kernel_size: int | None = None,
        sigma: Sequence[float] = (0.1, 2.0),
        p: float = 0.5,
    ) -> None:
        super().__init__(p)
        if kernel_size is not None and (kernel_size < 1 or kernel_size % 2 == 0):
            raise ValueError(f"kernel_size must be odd and positive, got {kernel_size}")
        self.kernel_size = kernel_size
        self.sigma = check_interval("sigma", sigma, 1e-3, float("inf"))

    def sample(self, shape: Shape, generator: torch.Generator | None = None) -> BlurParameters:
        """Draw choices and widths."""
        return BlurParameters(
            chosen(shape[0], self.p, generator), uniform((shape[0],), *self.sigma, generator)
        )

    def change_(
        self,
        images: Float[Tensor, "batch channel height width"],
        parameters: BlurParameters,
    ) -> Float[Tensor, "batch channel height width"]:
        """Blur every image."""
        height, width = images.shape[2:]
        num_taps = self.kernel_size or max(3, round(0.1 * min(height, width)) // 2 * 2 + 1)
        if num_taps // 2 >= min(height, width):
            raise ValueError(f"kernel_size {num_taps} is too large for {height} x {width} images")
        sigma = to_device(parameters, images.device).sigma
        rows = blur_weights(sigma, num_taps, height)
        columns = rows if height == width else blur_weights(sigma, num_taps, width)
        return resample(images, rows, columns)


def blur_weights(
    sigma: Float[Tensor, " batch"], num_taps: int, size: int
) -> Float[Tensor, "batch size size"]:
    """Matrices that blur an axis of `size` pixels, the border pixels' neighbours reflected."""
    reach = num_taps // 2
    offsets = torch.arange(-reach, reach + 1, device=sigma.device)
    scaled = offsets / (sigma[:, None] * math.sqrt(2.0))
    kernel = scaled.square().neg_().softmax(1)
    sources = (torch.arange(size, device=sigma.device) + offsets[:, None]).abs()
    sources = (size - 1) - ((size - 1) - sources).abs()
    selection = torch.nn.functional.one_hot(sources, size).to(kernel.dtype)
    return (kernel @ selection.view(num_taps, size * size)).view(-1, size, size)
