"""Blocks in which the tokens of each modality look at those of the others."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from trivium.encoders.transformer import init_linear
from trivium.types import Modality

Tokens = Mapping[Modality, Float[Tensor, "batch token channel"]]
Valid = Mapping[Modality, Bool[Tensor, "batch token"]]


class CrossAttention(nn.Module):
    """Multi-head attention from some tokens to others (1706.03762, section 3.2.3).

    A learned token that everybody sees stands before the keys: where all other modalities are
    missing there is still something to look at.

    Args:
        width: Channels of the tokens; a multiple of `num_heads`.
        num_heads: Attention heads.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(
                f"width {width} does not split into num_heads {num_heads}: "
                "choose a width that is a multiple of num_heads."
            )
        self.num_heads = num_heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.projection = nn.Linear(width, width)
        self.nothing = nn.Parameter(torch.zeros(1, 1, width))

    def forward(
        self,
        tokens: Float[Tensor, "batch query channel"],
        others: Float[Tensor, "batch key channel"],
        seen: Bool[Tensor, "batch key"],
    ) -> Float[Tensor, "batch query channel"]:
        """What each token takes from the others; keys where `seen` is False are not looked at."""
        batch, length, width = tokens.shape
        others = torch.cat([self.nothing.expand(batch, -1, -1).to(others.dtype), others], dim=1)
        seen = torch.cat([seen.new_ones(batch, 1), seen], dim=1)[:, None, None]
        query = self.query(tokens).view(batch, length, self.num_heads, -1).transpose(1, 2)
        both = self.key_value(others).view(batch, others.shape[1], 2, self.num_heads, -1)
        key, value = both.permute(2, 0, 3, 1, 4).unbind(0)
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        mixed = scores.masked_fill(~seen, -torch.inf).softmax(-1) @ value
        projected: Tensor = self.projection(mixed.transpose(1, 2).reshape(batch, length, width))
        return projected


class CrossBlock(nn.Module):
    """Co-attention as in ViLBERT (1908.02265, section 2.1), with pre-norm residuals.

    Every modality's tokens attend to all tokens of the others, then pass through an MLP. Both
    are shared by the modalities, whose tokens carry the mark of theirs.

    Args:
        width: Channels of the tokens; a multiple of `num_heads`.
        num_heads: Attention heads.
        mlp_ratio: Hidden channels of the MLP over `width`.
    """

    def __init__(self, width: int, num_heads: int, *, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        hidden = int(width * mlp_ratio)
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.attention = CrossAttention(width, num_heads)
        self.mlp_norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.apply(lambda module: init_linear(module, "xavier"))

    def forward(self, tokens: Tokens, valid: Valid) -> dict[Modality, Tensor]:
        """Tokens of each modality, in the context of the others."""
        normed = {one: self.attention_norm(values) for one, values in tokens.items()}
        updated = {}
        for one, values in tokens.items():
            others = [other for other in tokens if other != one]
            looked = values.new_zeros(len(values), 0, values.shape[2])
            seen = valid[one].new_zeros(len(values), 0)
            if others:
                looked = torch.cat([normed[other] for other in others], dim=1)
                seen = torch.cat([valid[other] for other in others], dim=1)
            mixed = values + self.attention(normed[one], looked, seen)
            updated[one] = mixed + self.mlp(self.mlp_norm(mixed))
        return updated
