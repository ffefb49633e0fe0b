"""The vision transformer."""

import math
from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from trivium.encoders.layers import CELLS, Pooling, cell_of, grid_pool, pool
from trivium.encoders.patches import Patch, PatchStem, Positions
from trivium.encoders.transformer import Block, Init, Transformer, TransformerEncoder
from trivium.types import DataSpec, Features, Tokens


class ViT(TransformerEncoder):
    """Vision transformer (2010.11929): patches, positions, pre-norm blocks, final LayerNorm.

    `Features.tokens` are the patches' tokens after the LayerNorm; a cls token is seen in
    `Features.pooled` only.

    Args:
        data: An image dataset's spec.
        name: The encoder's yaml name.
        patch: Side of a patch in pixels, or its height and width; must divide height and width.
        width: Channels of the tokens; a multiple of `num_heads`.
        depth, num_heads, mlp_ratio, drop_path, init: Of the trunk, see `Transformer`.
        positions: Fixed sine-cosine positions or learned ones.
        pooling: `mean` over the tokens, `cls` token, `both` concatenated (twice as wide), or the
            means over the cells of a `grid` of 4 x 4, concatenated (of images alone).

    Raises:
        ValueError: The data are not images, or a size does not divide as it must.
    """

    stem: PatchStem
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
        self.keep_arguments(locals())
        self.pooling: Pooling = pooling
        self.token_width = width
        self.width = width * {"both": 2, "grid": CELLS**2}.get(pooling, 1)
        self.stem = self.stem_class(data, patch=patch, width=width, positions=positions)
        if pooling == "grid":
            self._check_grid(data)
        self.trunk = Transformer(
            width, depth, num_heads, mlp_ratio=mlp_ratio, drop_path=drop_path, init=init
        )
        has_cls = pooling in ("cls", "both")
        self.cls = nn.Parameter(torch.empty(1, 1, width)) if has_cls else None
        if self.cls is not None:
            nn.init.trunc_normal_(self.cls, std=0.02)

    def contextualise(self, tokens: Tokens) -> Features:
        """Run trunk and pooling over all tokens, or over any subset of them."""
        if self.cls is None and self.pooling == "mean":
            return super().contextualise(tokens)
        values, seen, _ = self._entered(tokens)
        encoded, valid = self.trunk(values, seen), tokens.valid
        mask = None if seen is None else valid
        if self.cls is None:
            cells = self._cells(encoded, tokens.indices)
            return Features(encoded, grid_pool(encoded, cells, CELLS**2, mask), valid)
        patches = encoded[:, 1:]
        return Features(patches, pool(self.pooling, patches, encoded[:, 0], mask), valid)

    def layers(self, tokens: Tokens) -> tuple[Float[Tensor, "batch token channel"], ...]:
        """The patches' tokens as each block returns them, first to last, without the LayerNorm."""
        outputs = super().layers(tokens)
        return outputs if self.cls is None else tuple(output[:, 1:] for output in outputs)

    @torch.no_grad()
    def attention_map(
        self, values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch head row column"]:
        """Attention of the last block, without stochastic depth (2104.14294, section 4.2.2).

        That of the cls token to the patches (a map then sums to less than 1, since some goes to
        itself); without one, the mean over the patches' attention.
        """
        was_training = self.training
        self.eval()
        tokens, *_ = self._entered(self.embed(values))
        *before, last = cast(Sequence[Block], self.trunk.blocks)
        for block in before:
            tokens = block(tokens)
        weights = last.attention.weights(last.attention_norm(tokens))
        self.train(was_training)
        seen = weights.mean(2) if self.cls is None else weights[:, :, 0, 1:]
        return seen.reshape(*seen.shape[:2], *self.stem.grid_of(values))

    def _entered(self, tokens: Tokens) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The tokens behind the cls token, where there is one."""
        values, mask, indices = super()._entered(tokens)
        if self.cls is None:
            return values, mask, indices
        cls = self.cls.expand(len(values), -1, -1).to(values.dtype)
        if mask is not None:
            mask = torch.cat([mask.new_ones(len(mask), 1), mask], dim=1)
        return torch.cat([cls, values], dim=1), mask, None

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
        indices: Int64[Tensor, "batch token"] | None,
    ) -> Int64[Tensor, "_ token"]:
        """The cell of each token; without indices the tokens are a whole image's, of any size."""
        plane, num_tokens = self.stem.grid, tokens.shape[1]
        if indices is None:
            indices = torch.arange(num_tokens, device=tokens.device)[None]
            scale = math.sqrt(num_tokens / self.stem.num_tokens)
            plane = (round(plane[0] * scale), round(plane[1] * scale))
            if plane[0] * plane[1] != num_tokens:
                raise ValueError(
                    f"{num_tokens} tokens are no whole image of the proportions of {self.stem.grid}"
                    ": give their indices, or choose another pooling than grid."
                )
        return cell_of(indices, plane, CELLS)
