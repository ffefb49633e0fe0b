"""Small parts of encoders: valid tokens, positions, pooling."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from trivium.types import DataSpec, Features, Modality


def sample_shape(data: DataSpec, modality: Modality) -> tuple[int, ...]:
    """The shape of one sample of a dataset.

    Raises:
        ValueError: The dataset is of another modality.
    """
    if data.modality != modality or len(data.shape) != (1 if modality == "text" else 3):
        raise ValueError(
            f"this encoder takes {modality}, but {data.name!r} is {data.modality} of shape "
            f"{data.shape}: choose an encoder for {data.modality} or data of {modality}."
        )
    return data.shape


def one_token(pooled: Float[Tensor, "batch channel"]) -> Features:
    """Features whose only token is the pooled one."""
    tokens = pooled.unsqueeze(1)
    return Features(tokens, pooled, every_token(tokens))


def every_token(values: Float[Tensor, "batch token channel"]) -> Bool[Tensor, "batch token"]:
    """A `valid` that is True throughout: one expanded element, so its stride says so."""
    return torch.ones((), dtype=torch.bool, device=values.device).expand(values.shape[:2])


def is_every_token(valid: Bool[Tensor, "batch token"]) -> bool:
    """Whether all tokens are known to be valid, so that no mask need be built.

    What `every_token` made (and its slices) is known by its stride. Others are looked at on CPUs
    only: elsewhere the answer would wait for the device.
    """
    if valid.stride() == (0, 0):
        return True
    return valid.device.type == "cpu" and bool(valid.all())


def sincos_2d(
    width: int, grid: tuple[int, int], extent: tuple[int, int] | None = None
) -> Float[Tensor, "token channel"]:
    """Sine-cosine positions of a grid's cells in row-major order, as in MAE (2111.06377).

    The first half of the channels encodes the column, the second the row, each as sines followed by
    cosines of the coordinate at geometric frequencies from 1 to 1/10000. With `extent` the grid is
    stretched over the plane of a grid of that size, so that equal relative places have equal codes.

    Raises:
        ValueError: `width` is not a multiple of 4.
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


Pooling = Literal["mean", "cls", "both", "grid"]
TextPooling = Literal["mean", "cls", "last"]
CELLS = 4
"""How many cells the grid of pooling `grid` has down and across."""


def mean_pool(
    tokens: Float[Tensor, "batch token channel"], valid: Bool[Tensor, "batch token"] | None
) -> Float[Tensor, "batch channel"]:
    """Mean over the valid tokens; `valid` None means all of them."""
    if valid is None:
        return tokens.mean(dim=1)
    weight = valid.to(tokens.dtype).unsqueeze(-1)
    kept = tokens.masked_fill(~valid.unsqueeze(-1), 0)
    return kept.sum(dim=1) / weight.sum(dim=1)


def pool(
    pooling: Pooling,
    tokens: Float[Tensor, "batch token channel"],
    cls: Float[Tensor, "batch width"] | None,
    valid: Bool[Tensor, "batch token"] | None,
) -> Float[Tensor, "batch pooled"]:
    """Pool by the cls token, the mean over valid tokens, or both, concatenated."""
    if cls is None:
        return mean_pool(tokens, valid)
    if pooling == "cls":
        return cls
    return torch.cat([cls, mean_pool(tokens, valid)], dim=-1)


def grid_pool(
    tokens: Float[Tensor, "batch token channel"],
    cells: Int64[Tensor, "batch token"] | Int64[Tensor, "1 token"],
    num_cells: int,
    valid: Bool[Tensor, "batch token"] | None,
) -> Float[Tensor, "batch pooled"]:
    """Means over the valid tokens of each cell, concatenated; zeros for a cell without any.

    A linear probe then sees where things are (Goyal et al. 2019, 1905.01235, section 3).
    """
    member = F.one_hot(cells, num_cells).to(tokens.dtype)
    if valid is not None:
        member = member * valid.unsqueeze(-1).to(tokens.dtype)
        tokens = tokens.masked_fill(~valid.unsqueeze(-1), 0)
    member = member / member.sum(1, keepdim=True).clamp(min=1)
    return (member.transpose(1, 2) @ tokens).flatten(1)


def cell_of(
    indices: Int64[Tensor, "batch token"], plane: tuple[int, int], side: int
) -> Int64[Tensor, "batch token"]:
    """The cell of each index among `side` x `side` equal cells of a plane, row-major."""
    rows, columns = plane
    down = indices.div(columns, rounding_mode="floor") * side // rows
    return down * side + indices % columns * side // columns


def pool_text(
    pooling: TextPooling,
    tokens: Float[Tensor, "batch token channel"],
    valid: Bool[Tensor, "batch token"] | None,
) -> Float[Tensor, "batch channel"]:
    """Pool by the mean over valid tokens, the first token (the begin of a text), or the last one.

    A causal encoder's first token has seen nothing: pool by the mean or the last.
    """
    if pooling == "mean":
        return mean_pool(tokens, valid)
    if pooling == "cls":
        return tokens[:, 0]
    if valid is None:
        return tokens[:, -1]
    indices = torch.arange(tokens.shape[1], device=tokens.device)
    last = torch.where(valid, indices, -1).amax(1).clamp(min=0)
    return tokens[torch.arange(len(tokens), device=tokens.device), last]
