"""Fixed two-dimensional sine-cosine positions."""

import torch
from jaxtyping import Float
from torch import Tensor


def sincos_2d(
    width: int, grid: tuple[int, int], extent: tuple[int, int] | None = None
) -> Float[Tensor, "token channel"]:
    """Sine-cosine positions of a grid's cells in row-major order, as in MAE (2111.06377).

    The first half of the channels encodes the column and the second half the row, each as
    sines followed by cosines of the coordinate at geometric frequencies from 1 to 1/10000.

    With `extent` the coordinates are interpolated: the grid is stretched over the plane of a
    grid of that size, so that cells whose centres lie at equal relative places have equal codes.

    Args:
        width: Channels; a multiple of 4.
        grid: Rows and columns.
        extent: Rows and columns of the grid whose plane is covered; None for `grid` itself.

    Raises:
        ValueError: If `width` is not a multiple of 4.
    """
    if width % 4:
        raise ValueError(
            f"sin-cos positions need a width that is a multiple of 4, but got {width}: "
            "change the width, or choose positions=learned."
        )
    centres = [_centres(*sizes) for sizes in zip(grid, extent or grid, strict=True)]
    rows, columns = torch.meshgrid(*centres, indexing="ij")
    return torch.cat([_sincos_1d(width // 2, axis.flatten()) for axis in (columns, rows)], dim=1)


def _centres(size: int, extent: int) -> Tensor:
    """Centres of `size` equal cells on the axis where those of `extent` cells are 0, 1, 2, ..."""
    return (torch.arange(size, dtype=torch.float64) + 0.5) * (extent / size) - 0.5


def _sincos_1d(width: int, coordinate: Tensor) -> Tensor:
    # Angles in double precision, as in the reference: only the result is rounded.
    frequency = 10000.0 ** -(torch.arange(width // 2, dtype=torch.float64) / (width / 2))
    angle = torch.outer(coordinate.double(), frequency)
    return torch.cat([angle.sin(), angle.cos()], dim=1).float()
