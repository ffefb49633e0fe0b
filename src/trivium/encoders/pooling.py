"""From tokens to one vector per sample."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Pooling = Literal["mean", "cls", "both"]
TextPooling = Literal["mean", "cls", "last"]


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
    places = torch.arange(tokens.shape[1], device=tokens.device)
    last = torch.where(valid, places, -1).amax(1).clamp(min=0)
    return tokens[torch.arange(len(tokens), device=tokens.device), last]
