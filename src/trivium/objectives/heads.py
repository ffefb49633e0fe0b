"""Heads and prototypes that objectives put on an encoder and discard afterwards."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.types import View


class MLP(nn.Sequential):
    """Linear layers with ReLU in between: a projector or predictor head.

    `MLP(192, 512, 128)` maps 192 channels over 512 hidden ones to 128. With `batch_norm` each
    hidden layer is normalised over the batch (and needs no bias); the last layer never is.
    `last_bias` is superfluous for losses that subtract the mean.
    """

    def __init__(self, *widths: int, batch_norm: bool = True, last_bias: bool = True) -> None:
        if len(widths) < 2:
            raise ValueError(f"An MLP needs at least an input and an output width, got {widths}.")
        layers: list[nn.Module] = []
        for before, after in pairwise(widths[:-1]):
            layers.append(nn.Linear(before, after, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm1d(after))
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers, nn.Linear(widths[-2], widths[-1], bias=last_bias))


class Prototypes(nn.Module):
    """Cosines of features with learned prototypes, in float32.

    A linear layer without bias whose rows are normalised in every forward pass: weight
    normalisation with its gain fixed to 1. The buffer `learning` scales the gradient that reaches
    the prototypes (not the features): 0 freezes them, yet leaves them connected to the loss.
    """

    learning: Tensor

    def __init__(self, width: int, num_prototypes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.randn(num_prototypes, width), dim=1))
        self.register_buffer("learning", torch.tensor(1.0))

    def forward(self, features: Float[Tensor, "batch channel"]) -> Float[Tensor, "batch prototype"]:
        """Scores in [-1, 1]."""
        rows = F.normalize(self.weight, dim=1)
        rows = rows.detach() + self.learning * (rows - rows.detach())
        with torch.autocast(features.device.type, enabled=False):
            scores: Tensor = F.normalize(features.float(), dim=1) @ rows.T
        return scores


def project(
    encoder: nn.Module, head: nn.Module, *views: View
) -> tuple[Float[Tensor, "batch channel"], ...]:
    """A head's outputs for the pooled features of each view, in float32."""
    return tuple(head(encoder(view.values, view.valid).pooled).float() for view in views)
