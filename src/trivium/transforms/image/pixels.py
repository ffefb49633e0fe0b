"""Transforms of pixels: conversion to floats, standardisation, Gaussian blur."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from typing_extensions import override

from trivium.transforms.base import (
    NoParameters,
    Op,
    RandomOp,
    Shape,
    check_interval,
    chosen,
    to_device,
    uniform,
)
from trivium.transforms.image.geometry import resample


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


class BlurParameters(NamedTuple):
    """Which samples are blurred, and their standard deviation in pixels."""

    chosen: Bool[Tensor, " batch"]
    sigma: Float[Tensor, " batch"]


class RandomGaussianBlur(RandomOp[BlurParameters]):
    """Blur with a truncated Gaussian and reflected borders, as torchvision's `gaussian_blur`.

    Args:
        kernel_size: Odd number of taps; None takes a tenth of the shorter side, made odd and at
            least 3, as SimCLR (2002.05709, appendix A).
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
