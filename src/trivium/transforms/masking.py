"""Random masking of tokens, and of the ids of texts."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor, nn

from trivium.transforms.base import check_probability, check_ratio
from trivium.types import MASK, SPECIAL_TOKENS


class Mask(NamedTuple):
    """Which tokens of each sample are kept and which are masked; indices ascend."""

    keep: Int64[Tensor, "batch kept"]
    masked: Int64[Tensor, "batch masked"]
    """Those that are not kept; of samples of different lengths padding, too."""
    mask: Bool[Tensor, "batch token"]
    """True where a token is masked."""


class RandomMasking(nn.Module):
    """Mask a fixed share of every sample's tokens, chosen uniformly (MAE, 2111.06377, 3.1).

    Args:
        ratio: Share of tokens that are masked, in (0, 1).

    Raises:
        ValueError: `ratio` is outside (0, 1).
    """

    def __init__(self, ratio: float) -> None:
        super().__init__()
        self.ratio = check_ratio(ratio)

    def num_masked(self, num_tokens: int) -> int:
        """Tokens that are masked of `num_tokens`: the rounded share, but one is always kept.

        Raises:
            ValueError: there is no token.
        """
        if num_tokens < 1:
            raise ValueError(f"masking needs at least one token, got {num_tokens}")
        return min(round(self.ratio * num_tokens), num_tokens - 1)

    def forward(
        self,
        batch_size: int,
        num_tokens: int,
        device: torch.device | str = "cpu",
        generator: torch.Generator | None = None,
        valid: Bool[Tensor, "batch token"] | None = None,
    ) -> Mask:
        """Draw a mask with its own permutation for every sample.

        Of samples of different lengths (`valid`) each shows its own share of its valid tokens,
        one at least; what is missing to the common number is padding, and padding is never
        masked.

        Raises:
            ValueError: there is no token.
        """
        num_masked = self.num_masked(num_tokens)
        source = torch.device(device) if generator is None else generator.device
        noise = torch.rand(batch_size, num_tokens, generator=generator, device=source)
        if valid is not None:
            return self._of_valid(noise.to(device), num_tokens - num_masked, valid)
        order = noise.argsort(dim=1).to(device)
        masked = order[:, :num_masked].sort(dim=1).values
        keep = order[:, num_masked:].sort(dim=1).values
        mask = torch.zeros(batch_size, num_tokens, dtype=torch.bool, device=order.device)
        return Mask(keep, masked, mask.scatter_(1, masked, True))

    def _of_valid(
        self, noise: Float[Tensor, "batch token"], num_kept: int, valid: Bool[Tensor, "batch token"]
    ) -> Mask:
        num_valid = valid.sum(1, keepdim=True)
        # In float64, as `num_masked` rounds.
        num_masked = (self.ratio * num_valid.double()).round().long()
        own_kept = (num_valid - num_masked).clamp(min=1, max=num_kept)
        rank = noise.masked_fill(~valid, 2.0).argsort(1).argsort(1)
        kept = valid & (rank < own_kept)
        # The kept first, padding behind them, what is masked last.
        order = (noise + (~kept).float() + (valid & ~kept).float()).argsort(1)
        keep, rest = order[:, :num_kept].sort(1).values, order[:, num_kept:].sort(1).values
        return Mask(keep, rest, valid & ~kept)


def gather_tokens(
    tokens: Shaped[Tensor, "batch token *channel"], index: Int64[Tensor, "batch chosen"]
) -> Shaped[Tensor, "batch chosen *channel"]:
    """Take some tokens of each sample, in the order of `index`; gradients flow through.

    `tokens` may be [batch, token, channel] or any per-token values, such as a mask.
    """
    shape = index.shape + (1,) * (tokens.ndim - 2)
    return tokens.gather(1, index.view(shape).expand(-1, -1, *tokens.shape[2:]))


NUM_SPECIAL = len(SPECIAL_TOKENS)


class Masked(NamedTuple):
    """Ids with some tokens replaced, and True where a token was chosen."""

    ids: Int64[Tensor, "batch token"]
    chosen: Bool[Tensor, "batch token"]


class TokenMasking(nn.Module):
    """Choose a share of a text's tokens, and mask most of them (BERT, 1810.04805, section 3.1).

    Of each text the rounded share of its tokens is chosen, one at least if it has any; padding and
    special tokens never are. Of the chosen, a share `mask` becomes `[MASK]`, a share `random` a
    random token of the vocabulary, and the rest stays as it is. All is drawn anew at each call.

    Args:
        ratio: Share of the tokens that is chosen.
        mask: Share of the chosen that is masked; 0.8 in the paper.
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
        """Draw what is chosen and what becomes of it, in texts of a vocabulary of so many ids."""
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
