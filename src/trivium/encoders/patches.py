"""Images as patches: what predicting an image means, and how it becomes tokens."""

import functools
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.encoders.layers import sample_shape, sincos_2d
from trivium.types import DataSpec, Modality, Stem

Positions = Literal["sincos", "learned"]
Patch = int | Sequence[int | None]
"""Side of a square patch, or height and width; None is as long as the input."""


class Patches(Stem):
    """Standardised non-overlapping patches in row-major order, values by (channel, row, column).

    It has no parameters: it is the stem of encoders that take whole images.

    Args:
        data: A dataset's spec; its mean and std standardise the values.
        patch: Side of a patch in pixels, or its height and width.

    Raises:
        ValueError: The data are not images, or `patch` does not divide their size.
    """

    likelihood: ClassVar[Literal["gaussian", "categorical"]] = "gaussian"
    modality: ClassVar[Modality] = "image"
    mean: Tensor
    std: Tensor

    def __init__(self, data: DataSpec, *, patch: Patch):
        super().__init__()
        self.channels, *plane = sample_shape(data, self.modality)
        self.sides = sides_of(patch, (plane[0], plane[1]))
        self.grid = self.divide(data.name, plane[0], plane[1])
        self.num_tokens = self.grid[0] * self.grid[1]
        self.target_width = self.channels * self.sides[0] * self.sides[1]
        self.register_buffer("mean", torch.tensor(data.mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(data.std).view(-1, 1, 1), persistent=False)

    def divide(self, name: str, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches."""
        if height % self.sides[0] or width % self.sides[1]:
            patch = self.sides[0] if self.sides[0] == self.sides[1] else self.sides
            raise ValueError(
                f"patch {patch} does not divide the {height}x{width} images of {name!r}: "
                "choose a patch size that divides both."
            )
        return height // self.sides[0], width // self.sides[1]

    def standardise(
        self, values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Pixels in [0, 1] to zero mean and unit variance over the train split."""
        return (values - self.mean) / self.std

    def patchify(
        self, values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch token pixel"]:
        """Cut images of the dataset's size into patches."""
        return self._cut(values, self.grid)

    def _cut(self, values: Tensor, grid: tuple[int, int]) -> Tensor:
        (rows, columns), (height, width) = grid, self.sides
        cut = values.reshape(len(values), self.channels, rows, height, columns, width)
        return cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)

    def unpatchify(
        self, patches: Float[Tensor, "batch token pixel"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Put patches together again: the inverse of `patchify`."""
        (rows, columns), (height, width) = self.plane(patches.shape[1]), self.sides
        cut = patches.reshape(-1, rows, columns, self.channels, height, width)
        shape = (-1, self.channels, rows * height, columns * width)
        return cut.permute(0, 3, 1, 4, 2, 5).reshape(shape)

    def target(
        self, values: Float[Tensor, "batch channel height width"], *, normalise: bool = False
    ) -> Float[Tensor, "batch token pixel"]:
        """Standardised pixels of each patch, see `standardise_tokens` for `normalise`."""
        patches = self.patchify(self.standardise(values))
        return standardise_tokens(patches) if normalise else patches

    def distance(
        self,
        prediction: Float[Tensor, "batch token pixel"],
        target: Float[Tensor, "batch token pixel"],
    ) -> Float[Tensor, "batch token"]:
        """Mean squared error over each patch."""
        return (prediction.float() - target.float()).square().mean(dim=-1)

    def render(
        self, prediction: Float[Tensor, "batch token pixel"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Predicted standardised patches as images in [0, 1]."""
        images = self.unpatchify(prediction.float()) * self.std + self.mean
        return images.clamp(0, 1)

    def paint(
        self, values: Float[Tensor, "batch token"]
    ) -> Float[Tensor, "batch channel height width"]:
        """One number in [0, 1] per token as a grey picture of flat patches."""
        patches = values.float().unsqueeze(-1).expand(-1, -1, self.target_width)
        return self.unpatchify(patches)


class PatchStem(Patches):
    """Patches embedded linearly (2010.11929, eq. 1), with positions.

    The projection is a reshape and a Linear (faster than a strided convolution on CPUs) and starts
    as a Xavier uniform, as in MAE (2111.06377, appendix A.1). Images of another size than the
    dataset's (local views of multi-crop) are brought to a multiple of the patch (bilinear with
    antialiasing), with interpolated positions: sine-cosine codes at interpolated coordinates,
    learned ones bicubically as in DINO (2104.14294).

    Args:
        data: A dataset's spec.
        patch: Side of a patch in pixels, or its height and width.
        width: Channels of the tokens.
        positions: Fixed sine-cosine positions or learned ones.
    """

    positions: Tensor

    def __init__(
        self,
        data: DataSpec,
        *,
        patch: Patch,
        width: int,
        positions: Positions = "sincos",
    ) -> None:
        super().__init__(data, patch=patch)
        self.projection = nn.Linear(self.target_width, width)
        nn.init.xavier_uniform_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)
        if positions == "sincos":
            self.register_buffer("positions", sincos_2d(width, self.grid), persistent=False)
        elif positions == "learned":
            self.positions = nn.Parameter(torch.empty(self.num_tokens, width))
            nn.init.trunc_normal_(self.positions, std=0.02)
        else:
            raise ValueError(f"positions is {positions!r}; choose sincos or learned.")

    def forward(
        self, values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch token embedding"]:
        """Images in [0, 1], of any size, to tokens with positions."""
        grid, positions = self.grid_of(values), self.positions
        if grid != self.grid:
            positions = self._positions_on(grid)
        sides = [side * size for side, size in zip(self.sides, grid, strict=True)]
        if sides != list(values.shape[2:]):
            values = F.interpolate(values, sides, mode="bilinear", antialias=True)
        projected: Tensor = self.projection(self._cut(self.standardise(values), grid))
        return projected + positions

    def grid_of(self, values: Float[Tensor, "batch channel height width"]) -> tuple[int, int]:
        """Rows and columns of the tokens that images of this size become."""
        rows, columns = (
            max(1, (length + side // 2) // side)
            for length, side in zip(values.shape[2:], self.sides, strict=True)
        )
        return rows, columns

    def valid_tokens(self, valid: Bool[Tensor, "batch token"]) -> Bool[Tensor, "batch token"]:
        """Which tokens hold data, given the view's `valid`: of images it speaks of patches."""
        return valid

    def _positions_on(self, grid: tuple[int, int]) -> Tensor:
        width = self.positions.shape[1]
        if not isinstance(self.positions, nn.Parameter):
            return _stretched(width, grid, self.grid).to(self.positions)
        plane = self.positions.T.reshape(1, width, *self.grid)
        resized = F.interpolate(plane, grid, mode="bicubic", align_corners=False)
        return resized[0].flatten(1).T


def standardise_tokens(values: Float[Tensor, "batch token value"]) -> Tensor:
    """Each token's values to mean 0 and unbiased variance 1 (2111.06377, section 4.1)."""
    variance, mean = torch.var_mean(values, dim=-1, keepdim=True)
    return (values - mean) / (variance + 1e-6).sqrt()


_stretched = functools.lru_cache(maxsize=16)(sincos_2d)


def sides_of(patch: Patch, plane: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a patch given by its side, or by both; None spans the plane.

    Raises:
        ValueError: It is neither, or not positive.
    """
    given = (patch, patch) if isinstance(patch, int) else tuple(patch)
    if len(given) != 2 or any(side is not None and side < 1 for side in given):
        raise ValueError(f"patch is {patch!r}; give the side of a square or [height, width].")
    height, width = (
        whole if side is None else side for side, whole in zip(given, plane, strict=True)
    )
    return height, width
