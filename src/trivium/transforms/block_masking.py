"""Masking of whole blocks of tokens, on grids and (as grids of one row) on sequences."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from trivium.transforms.base import check_interval, check_ratio
from trivium.transforms.masking import Mask

Grid = tuple[int, int]
Limits = Sequence[float | int]

LEAST = 1e-6
"""The smallest share or aspect ratio that is accepted: above 0."""
LEAST_CONTEXT = 0.3
"""Share of the grid below which a context is too small to predict anything from."""


class Blocks(NamedTuple):
    """Tokens of one context and of several target blocks for each sample; indices ascend."""

    context: Int64[Tensor, "batch kept"]
    targets: Int64[Tensor, "batch block size"]


class MultiBlockMasking(nn.Module):
    """Several target blocks and one context that shares no token with them (I-JEPA, 2301.08243).

    Section 3 and appendix A.1: sizes are drawn once for the batch, positions for every sample. The
    context is a square block without the targets, cut to the smallest number of tokens in the
    batch. Departures from github.com/facebookresearch/ijepa, `masks/multiblock.py`, for small
    grids: scale and aspect ratio are independent draws; a block has the whole sides that come
    nearest to both; the cut is a random subset. Where less than 0.3 of the grid is left of the
    context block, the context is all that the targets leave; where that is less, all targets of the
    sample fall on its first.

    Args:
        num_targets: Target blocks of each sample.
        target_scale: Smallest and largest share of the grid that a target covers, in (0, 1].
        aspect_ratio: Smallest and largest height over width of a target.
        context_scale: As `target_scale`, for the context block before targets are removed.

    Raises:
        ValueError: A range is empty or outside of what is said above, or there is no target.
    """

    def __init__(
        self,
        num_targets: int,
        target_scale: Limits,
        aspect_ratio: Limits,
        context_scale: Limits,
    ) -> None:
        super().__init__()
        if num_targets < 1:
            raise ValueError(f"num_targets must be at least 1, got {num_targets}")
        self.num_targets = num_targets
        self.target_scale = check_interval("target_scale", target_scale, LEAST, 1.0)
        self.aspect_ratio = check_interval("aspect_ratio", aspect_ratio, LEAST, math.inf)
        self.context_scale = check_interval("context_scale", context_scale, LEAST, 1.0)

    def forward(
        self,
        batch_size: int,
        grid: Grid,
        device: torch.device | str = "cpu",
        generator: torch.Generator | None = None,
    ) -> Blocks:
        """Draw the blocks of a batch.

        They are drawn on the CPU, so that their sizes are known without waiting for a device.

        Raises:
            ValueError: the grid has fewer than two tokens.
        """
        num_tokens = math.prod(grid)
        if num_tokens < 2:
            raise ValueError(f"masking blocks needs at least two tokens, got a grid {grid}")
        draws = torch.rand(3, generator=generator).double().tolist()
        target = self._size(grid, self.target_scale, self.aspect_ratio, draws[0], draws[1])
        if math.prod(target) == num_tokens:
            target = (target[0], target[1] - 1) if target[1] > 1 else (target[0] - 1, 1)
        context = self._size(grid, self.context_scale, (1.0, 1.0), draws[2], 0.0)
        targets = _place(grid, target, (batch_size, self.num_targets), generator)
        least = max(1, int(LEAST_CONTEXT * num_tokens))
        crowded = (~targets.any(1)).sum(1) < least
        targets = torch.where(crowded[:, None, None], targets[:, :1].expand_as(targets), targets)
        free = ~targets.any(1)
        inside = _place(grid, context, (batch_size, 1), generator)[:, 0] & free
        allowed = torch.where(inside.sum(1, keepdim=True) >= least, inside, free)
        noise = torch.rand(batch_size, num_tokens, generator=generator)
        num_kept = int(allowed.sum(1).min())
        kept = noise.masked_fill(~allowed, 2.0).argsort(dim=1)[:, :num_kept].sort(dim=1).values
        index = targets.nonzero()[:, 2].view(batch_size, self.num_targets, math.prod(target))
        return Blocks(kept.to(device), index.to(device))

    @staticmethod
    def _size(
        grid: Grid,
        scale: tuple[float, float],
        aspect_ratio: tuple[float, float],
        first: float,
        second: float,
    ) -> Grid:
        share = scale[0] + first * (scale[1] - scale[0])
        aspect = aspect_ratio[0] + second * (aspect_ratio[1] - aspect_ratio[0])
        area = share * math.prod(grid)
        sides = itertools.product(range(1, grid[0] + 1), range(1, grid[1] + 1))
        return min(sides, key=lambda side: _misfit(side, area, aspect))


class BlockMasking(nn.Module):
    """Mask a fixed share of every sample's tokens in blocks (BEiT, 2106.08254, algorithm 1).

    Blocks are laid one after the other until the share is reached; the last one is cut so that
    every sample masks the same number. Areas are uniform and aspect ratios log-uniform, as in
    github.com/microsoft/unilm, `beit`. On a grid of one row the blocks are spans; blocks of one
    token are random masking.

    Args:
        ratio: Share of tokens that are masked, in (0, 1).
        block: Smallest and largest number of tokens of a block, before rounding to whole sides.
        aspect_ratio: Smallest and largest height over width of a block.

    Raises:
        ValueError: `ratio` is outside (0, 1), or a range is empty or not positive.
    """

    def __init__(self, ratio: float, block: Limits, aspect_ratio: Limits) -> None:
        super().__init__()
        self.ratio = check_ratio(ratio)
        self.block = check_interval("block", block, LEAST, math.inf)
        self.aspect_ratio = check_interval("aspect_ratio", aspect_ratio, LEAST, math.inf)

    def num_masked(self, num_tokens: int) -> int:
        """Tokens that are masked of `num_tokens`: the rounded share, between 1 and all but one.

        Raises:
            ValueError: there are fewer than two tokens.
        """
        if num_tokens < 2:
            raise ValueError(f"masking blocks needs at least two tokens, got {num_tokens}")
        return max(1, min(round(self.ratio * num_tokens), num_tokens - 1))

    def forward(
        self,
        batch_size: int,
        grid: Grid,
        device: torch.device | str = "cpu",
        generator: torch.Generator | None = None,
        valid: Bool[Tensor, "batch token"] | None = None,
    ) -> Mask:
        """Draw a mask of its own for every sample.

        Of samples of different lengths (`valid`) each masks the rounded share of its valid
        tokens, in blocks within its first rows (on a grid of one row: columns). What is missing
        to the common numbers is padding, which is never masked. Of sequences in time, rows are
        time, or there is one row.

        Raises:
            ValueError: the grid has fewer than two tokens.
        """
        num_tokens = math.prod(grid)
        most = self.num_masked(num_tokens)
        source = torch.device(device) if generator is None else generator.device
        if valid is None:
            valid = torch.ones(batch_size, num_tokens, dtype=torch.bool, device=source)
        valid = valid.to(source)
        num_masked = self._shares(valid.sum(1))
        own = _own_grid(grid, valid)
        low, high = (num_masked.double().clamp(min=1, max=limit) for limit in self.block)
        # Four times the area that is needed: few samples are left short by overlaps.
        num_blocks = math.ceil(8 * most / sum(min(limit, most) for limit in self.block))
        # Each token's key is the first block that covers it; the last block is cut at either end.
        key = num_blocks + torch.rand(batch_size, num_tokens, generator=generator, device=source)
        forwards = torch.arange(num_tokens, device=source) / num_tokens
        coin = torch.rand(batch_size, 1, generator=generator, device=source) < 0.5
        within = torch.where(coin, forwards, forwards.flip(0))
        for index in range(num_blocks):
            draws = torch.rand(2, batch_size, generator=generator, device=source)
            area = low.float() + draws[0] * (high - low).float()
            start, end = (math.log(limit) for limit in self.aspect_ratio)
            sides = _sides(own, area, (start + draws[1] * (end - start)).exp())
            covered = _place(grid, sides, (batch_size, 1), generator, own)[:, 0]
            key = torch.where(covered, torch.minimum(key, index + within), key)
        rank = key.masked_fill(~valid, math.inf).argsort(dim=1).argsort(dim=1)
        mask = rank < num_masked.unsqueeze(1)
        # The masked first, padding behind them, what is kept last.
        order = torch.where(mask, 0, torch.where(valid, 2, 1)).argsort(dim=1, stable=True)
        masked, keep = order[:, :most].sort(dim=1).values, order[:, most:].sort(dim=1).values
        return Mask(keep.to(device), masked.to(device), mask.to(device))

    def _shares(self, num_valid: Int64[Tensor, " batch"]) -> Int64[Tensor, " batch"]:
        """`num_masked` of every sample; in float64, as that rounds."""
        rounded = (self.ratio * num_valid.double()).round().long().clamp(min=1)
        return rounded.minimum((num_valid - 1).clamp(min=0))


def _misfit(sides: Grid, area: float, aspect: float) -> float:
    """How far sides are from an area and, weighing less, from a height over width."""
    height, width = sides
    return math.log(height * width / area) ** 2 + 0.25 * math.log(height / width / aspect) ** 2


def _own_grid(
    grid: Grid, valid: Bool[Tensor, "batch token"]
) -> tuple[Int64[Tensor, " batch"], Int64[Tensor, " batch"]]:
    """Rows and columns that each sample has of a grid: of one row, columns; else whole rows."""
    if grid[0] == 1:
        columns = valid.sum(1).clamp(min=1)
        return torch.ones_like(columns), columns
    rows = valid.view(len(valid), *grid).any(2).sum(1).clamp(min=1)
    return rows, torch.full_like(rows, grid[1])


def _sides(
    grid: tuple[Int64[Tensor, " batch"], Int64[Tensor, " batch"]],
    area: Float[Tensor, " batch"],
    aspect: Float[Tensor, " batch"],
) -> tuple[Int64[Tensor, " batch"], Int64[Tensor, " batch"]]:
    """Height and width of blocks; one that is too long for the grid becomes wider, and so on."""
    rows, columns = grid
    height, width = (area * aspect).sqrt(), (area / aspect).sqrt()
    tall, wide = height > rows, width > columns
    height, width = (
        torch.where(wide, area / columns, height),
        torch.where(tall, area / rows, width),
    )
    return (
        height.round().long().clamp(min=1).minimum(rows),
        width.round().long().clamp(min=1).minimum(columns),
    )


def _place(
    grid: Grid,
    size: tuple[int, int] | tuple[Tensor, Tensor],
    shape: tuple[int, int],
    generator: torch.Generator | None,
    own: tuple[Tensor, Tensor] | None = None,
) -> Bool[Tensor, "batch block token"]:
    """Blocks of one size, or of one for each sample, at uniform positions: True where they lie.

    `own` are the rows and columns of each sample that blocks lie in, if not all of the grid.
    """
    device = size[0].device if isinstance(size[0], Tensor) else torch.device("cpu")
    inside = []
    for length, side, part in zip(grid, size, own or grid, strict=True):
        extent = torch.as_tensor(side, device=device).view(-1, 1)
        free = torch.as_tensor(part, device=device).view(-1, 1) - extent + 1
        draw = torch.rand(shape, generator=generator, device=device)
        start = (draw * free).floor().unsqueeze(-1)
        cells = torch.arange(length, device=device)
        inside.append((cells >= start) & (cells < start + extent.unsqueeze(-1)))
    rows, columns = inside
    return (rows.unsqueeze(-1) & columns.unsqueeze(-2)).flatten(2)
