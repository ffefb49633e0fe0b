"""The vision transformer."""

import math
from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from trivium.encoders.layers import (
    CELLS,
    Pooling,
    cell_of,
    every_token,
    grid_pool,
    is_every_token,
    pool,
)
from trivium.encoders.patches import Patch, PatchStem, Positions
from trivium.encoders.transformer import Block, Init, Transformer
from trivium.types import DataSpec, Encoder, Features, Tokens


class ViT(Encoder):
    """Vision transformer (2010.11929): patches, positions, pre-norm blocks, final LayerNorm.

    `Features.tokens` are the patches' tokens after the LayerNorm; the cls token, where the
    pooling has one, is seen in `Features.pooled` only.

    Args:
        data: An image dataset's facts.
        name: The encoder's yaml name.
        patch: Side of a patch in pixels, or its height and width; must divide height and width.
        width: Channels of the tokens; a multiple of `num_heads`.
        depth: Number of blocks.
        num_heads: Attention heads of each block.
        mlp_ratio: Hidden channels of each MLP over `width`.
        positions: Fixed sine-cosine positions or learned ones.
        pooling: `mean` over the tokens, `cls` token, `both` concatenated (then
            `Features.pooled` is twice as wide as the tokens), or the means over the cells of a
            `grid` of 4 x 4 side by side (16 times as wide; of images alone).
        drop_path: Stochastic depth of the last block; it rises linearly from 0.
        init: How the trunk's weights start, see `Transformer`.

    Raises:
        ValueError: If the data are not images, or a size does not divide as it must.
    """

    contextual: ClassVar[bool] = True
    stem_class: ClassVar[type[PatchStem]] = PatchStem

    def __init__(
        self,
        data: DataSpec,
        *,
        name: str,
        patch: Patch,
        width: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        positions: Positions = "sincos",
        pooling: Pooling = "mean",
        drop_path: float = 0.0,
        init: Init = "normal",
    ):
        super().__init__()
        if pooling not in ("mean", "cls", "both", "grid"):
            raise ValueError(f"pooling is {pooling!r}; choose mean, cls, both or grid.")
        self.name = name
        self.arguments = {
            "data": data.plain(),
            "name": name,
            "patch": patch if isinstance(patch, int) else list(patch),
            "width": width,
            "depth": depth,
            "num_heads": num_heads,
            "mlp_ratio": mlp_ratio,
            "positions": positions,
            "pooling": pooling,
            "drop_path": drop_path,
            "init": init,
        }
        self.pooling: Pooling = pooling
        self.token_width = width
        self.width = width * {"both": 2, "grid": CELLS**2}.get(pooling, 1)
        self.stem: PatchStem = self.stem_class(data, patch=patch, width=width, positions=positions)
        if pooling == "grid":
            self._check_grid(data)
        self.trunk = Transformer(
            width, depth, num_heads, mlp_ratio=mlp_ratio, drop_path=drop_path, init=init
        )
        has_cls = pooling in ("cls", "both")
        self.cls = nn.Parameter(torch.empty(1, 1, width)) if has_cls else None
        if self.cls is not None:
            nn.init.trunc_normal_(self.cls, std=0.02)

    def forward(
        self,
        values: Float[Tensor, "batch channel height width"],
        valid: Bool[Tensor, "batch token"] | None = None,
    ) -> Features:
        """Encode images in [0, 1]; `valid` None means that every patch counts."""
        return self.contextualise(self.embed(values, valid))

    def embed(
        self,
        values: Float[Tensor, "batch channel height width"],
        valid: Bool[Tensor, "batch token"] | None = None,
    ) -> Tokens:
        """Patches as tokens with positions, before any context."""
        tokens = self.stem(values)
        seen = every_token(tokens) if valid is None else self.stem.valid_tokens(valid)
        return Tokens(tokens, seen)

    def contextualise(self, tokens: Tokens) -> Features:
        """Run trunk and pooling over all tokens, or over any subset of them."""
        values, valid, places = tokens
        mask = None if is_every_token(valid) else valid
        encoded = self.trunk(self._with_cls(values), self._seen(mask))
        if self.pooling == "grid":
            cells = self._cells(encoded, places)
            return Features(encoded, grid_pool(encoded, cells, CELLS**2, mask), valid)
        if self.cls is None:
            return Features(encoded, pool(self.pooling, encoded, None, mask), valid)
        patches = encoded[:, 1:]
        return Features(patches, pool(self.pooling, patches, encoded[:, 0], mask), valid)

    def layers(self, tokens: Tokens) -> tuple[Float[Tensor, "batch token channel"], ...]:
        """The patches' tokens as each block returns them, first to last, without the LayerNorm."""
        mask = None if is_every_token(tokens.valid) else tokens.valid
        outputs = self.trunk.layers(self._with_cls(tokens.values), self._seen(mask))
        return outputs if self.cls is None else tuple(output[:, 1:] for output in outputs)

    @torch.no_grad()
    def attention_map(
        self, values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch head row column"]:
        """Where the last block looks, without stochastic depth (2104.14294, section 4.2.2).

        The attention of the cls token to the patches; it takes some from itself too, so that a
        map sums to less than 1. With mean pooling there is no such token: it is the mean over
        the patches' attention then, and sums to 1.
        """
        was_training = self.training
        self.eval()
        tokens = self._with_cls(self.stem(values))
        *before, last = cast(Sequence[Block], self.trunk.blocks)
        for block in before:
            tokens = block(tokens)
        weights = last.attention.weights(last.attention_norm(tokens))
        self.train(was_training)
        seen = weights.mean(2) if self.cls is None else weights[:, :, 0, 1:]
        return seen.reshape(*seen.shape[:2], *self.stem.grid_of(values))

    def _check_grid(self, data: DataSpec) -> None:
        rows, columns = self.stem.grid
        if self.modality != "image":
            raise ValueError(
                f"pooling is 'grid', but {data.name!r} is {data.modality}, of varying lengths: "
                "choose mean, cls or both."
            )
        if min(rows, columns) < CELLS:
            raise ValueError(
                f"pooling 'grid' has {CELLS} cells a side, but {data.name!r} in patches of "
                f"{self.stem.sides} is {rows} x {columns} tokens: choose smaller patches or "
                "another pooling."
            )

    def _cells(
        self,
        tokens: Float[Tensor, "batch token channel"],
        places: Int64[Tensor, "batch token"] | None,
    ) -> Int64[Tensor, "_ token"]:
        """In which cell each token lies; without places they are a whole image's, of any size."""
        plane, num_tokens = self.stem.grid, tokens.shape[1]
        if places is None:
            places = torch.arange(num_tokens, device=tokens.device)[None]
            scale = math.sqrt(num_tokens / self.stem.num_tokens)
            plane = (round(plane[0] * scale), round(plane[1] * scale))
            if plane[0] * plane[1] != num_tokens:
                raise ValueError(
                    f"{num_tokens} tokens are no whole image of the proportions of {self.stem.grid}"
                    ": say their places, or choose another pooling than grid."
                )
        return cell_of(places, plane, CELLS)

    def _with_cls(self, values: Tensor) -> Tensor:
        """The tokens behind the cls token, where there is one."""
        if self.cls is None:
            return values
        cls = self.cls.expand(len(values), -1, -1).to(values.dtype)
        return torch.cat([cls, values], dim=1)

    def _seen(self, mask: Tensor | None) -> Tensor | None:
        """Which tokens are valid behind the cls token, where there is one."""
        if mask is None or self.cls is None:
            return mask
        return torch.cat([mask.new_ones(len(mask), 1), mask], dim=1)
