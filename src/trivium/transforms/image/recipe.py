"""Views of images: transforms one after another, and which views an objective receives."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from trivium.transforms.base import Op, Shape, ViewList, rows
from trivium.transforms.image.pixels import ToFloat
from trivium.types import View

_CHUNK_BYTES = 768 * 1024
"""Float32 pixels that pass through all operations together on a CPU.

64 images of 32 x 32 with three channels: with its temporaries this still fits a core's
second-level cache, and all operations after the first find their input there.
"""


class Pipeline(nn.Module):
    """Operations one after another, with random parameters per sample: one view of a batch.

    All parameters are drawn first, so that the view does not depend on the chunks in which the
    batch is processed.

    Args:
        ops: Operations in order; the first turns uint8 pixels into floats (`ToFloat`).
        chunk: Samples that are processed together; None fits a CPU's cache, and takes the whole
            batch on an accelerator.

    Raises:
        ValueError: `chunk` is not positive.
    """

    def __init__(self, ops: Sequence[Op[Any]], *, chunk: int | None = None) -> None:
        super().__init__()
        if chunk is not None and chunk < 1:
            raise ValueError(f"chunk must be positive, got {chunk}")
        self.ops = nn.ModuleList(ops)
        self.chunk = chunk

    @torch.no_grad()
    def forward(
        self,
        images: Shaped[Tensor, "batch channel height width"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "batch channel out_height out_width"]:
        """Make one view of uint8 pixels or floats in [0, 1], which stay as they are.

        Raises:
            ValueError: The images are not a batch, or bytes meet no `ToFloat`.
        """
        if images.ndim != 4:
            raise ValueError(
                f"images must be [batch, channel, height, width], got {tuple(images.shape)}"
            )
        ops = cast(Sequence[Op[Any]], self.ops)
        if not images.is_floating_point() and not (len(ops) and isinstance(ops[0], ToFloat)):
            raise ValueError(
                f"a pipeline received {images.dtype} images and does not begin with a conversion; "
                "put trivium.transforms.image.pixels.ToFloat first"
            )
        shape = tuple(images.shape)
        drawn = []
        for op in ops:
            drawn.append(op.sample(shape, generator))
            shape = op.output_shape(shape)
        result = torch.empty(shape, dtype=torch.float32, device=images.device)
        for part in self._chunks(images, shape):
            view = images[part].clone()
            for op, parameters in zip(ops, drawn, strict=True):
                view = op.transform_(view, rows(parameters, part))
            result[part] = view
        return result

    def _chunks(self, images: Tensor, out_shape: Shape) -> Iterator[slice]:
        """Consecutive parts of the batch that are processed together."""
        size = self.chunk or len(images)
        if self.chunk is None and images.device.type == "cpu":
            pixels = max(math.prod(images.shape[1:]), math.prod(out_shape[1:]))
            size = max(1, _CHUNK_BYTES // (4 * pixels))
        for start in range(0, len(images), size):
            yield slice(start, start + size)


class ImageViews(ViewList):
    """Views of images; values are float32 in [0, 1]."""

    def forward(
        self,
        images: Shaped[Tensor, "batch channel height width"],
        generator: torch.Generator | None = None,
    ) -> tuple[View, ...]:
        """Make every view of uint8 pixels or floats in [0, 1], in order."""
        return tuple(View(pipeline(images, generator)) for pipeline in self.views)
