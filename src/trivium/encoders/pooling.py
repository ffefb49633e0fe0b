"""From tokens to one vector per sample."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Pooling = Literal["mean", "cls", "both"]


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
