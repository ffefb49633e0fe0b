"""Masking of ids: which tokens a text loses, and what stands in their place."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64
from torch import Tensor, nn

from trivium.types import MASK, SPECIAL_TOKENS
from trivium.views.draw import check_probability

NUM_SPECIAL = len(SPECIAL_TOKENS)


class Masked(NamedTuple):
    """Ids with some tokens replaced, and True where a token was chosen."""

    ids: Int64[Tensor, "batch token"]
    chosen: Bool[Tensor, "batch token"]


class TokenMasking(nn.Module):
    """Choose a share of a text's tokens, and hide most of them (BERT, 1810.04805, section 3.1).

    Of each text the rounded share of its tokens is chosen, one at least if it has any; padding and
    special tokens never are. Of the chosen, a share `mask` becomes `[MASK]`, a share `random` a
    random token of the vocabulary, and the rest stays as it is. All is drawn anew at each call.

    Args:
        ratio: Share of the tokens that is chosen.
        mask: Share of the chosen that is hidden; 0.8 in the paper.
        random: Share of the chosen that is replaced; 0.1 in the paper.

    Raises:
        ValueError: a share is outside [0, 1], or `mask` and `random` exceed 1 together.
    """

    def __init__(self, ratio: float, *, mask: float = 0.8, random: float = 0.1) -> None:
        super().__init__()
        self.ratio = check_probability("ratio", ratio)
        self.mask = check_probability("mask", mask)
        self.random = check_probability("random", random)
        check_probability("mask + random", mask + random)

    def forward(
        self,
        ids: Int64[Tensor, "batch token"],
        valid: Bool[Tensor, "batch token"] | None,
        vocabulary: int,
        generator: torch.Generator | None = None,
    ) -> Masked:
        """Draw what is chosen and what becomes of it.

        Args:
            ids: Texts.
            valid: True where there is text; None if everywhere.
            vocabulary: Number of ids.
            generator: Source of randomness.
        """
        device = ids.device
        maskable = ids >= NUM_SPECIAL
        if valid is not None:
            maskable = maskable & valid
        num_tokens = maskable.sum(1, keepdim=True)
        num_chosen = (self.ratio * num_tokens).round().clamp(min=1).minimum(num_tokens)
        noise = torch.rand(ids.shape, generator=generator, device=device)
        rank = noise.masked_fill(~maskable, 2.0).argsort(1).argsort(1)
        chosen = maskable & (rank < num_chosen)
        fate = torch.rand(ids.shape, generator=generator, device=device)
        drawn = torch.randint(
            NUM_SPECIAL, vocabulary, ids.shape, generator=generator, device=device
        )
        replaced = torch.where(chosen & (fate < self.mask), MASK, ids)
        swapped = chosen & (fate >= self.mask) & (fate < self.mask + self.random)
        return Masked(torch.where(swapped, drawn, replaced), chosen)
