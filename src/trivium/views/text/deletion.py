"""Leaving tokens out at random."""

import torch
from jaxtyping import Bool
from torch import Tensor
from typing_extensions import override

from trivium.views.draw import check_probability, uniform
from trivium.views.text.recipe import TextOp


class TokenDeletion(TextOp):
    """Delete each token with probability `p`, independently (CLEAR, 2012.15466, section 3.2).

    The first and the last valid token of a text (its begin and end) stay.

    Args:
        p: Probability that a token is deleted.

    Raises:
        ValueError: `p` is no probability.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = check_probability("p", p)

    @override
    def keep(
        self, valid: Bool[Tensor, "batch token"], generator: torch.Generator | None = None
    ) -> Bool[Tensor, "batch token"]:
        """Draw what stays."""
        drawn = uniform(tuple(valid.shape), 0.0, 1.0, generator).to(valid.device) >= self.p
        return drawn | is_bound(valid)


def is_bound(valid: Bool[Tensor, "batch token"]) -> Bool[Tensor, "batch token"]:
    """True at the first and the last valid token of each text (valid tokens come first)."""
    places = torch.arange(valid.shape[1], device=valid.device)
    return (places == 0) | (places == valid.sum(1, keepdim=True) - 1)
