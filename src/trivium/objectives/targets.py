"""Features of a teacher as targets: averaged over layers, and normalised."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

Normalisation = Literal["layer", "instance"]


def average_layers(
    outputs: tuple[Float[Tensor, "batch token channel"], ...],
    normalise: Normalisation,
    valid: Bool[Tensor, "batch token"] | None = None,
) -> Float[Tensor, "batch token channel"]:
    """Mean of normalised block outputs (eq. 2), in float32.

    `layer`: each token over its channels, and the mean once more (vision and text); `instance`:
    each channel of a sample over its valid tokens (audio). Neither has an affine part.
    """
    layers = torch.stack([output.float() for output in outputs])
    if normalise == "layer":
        mean = F.layer_norm(layers, layers.shape[-1:]).mean(0)
        return F.layer_norm(mean, mean.shape[-1:])
    if valid is None:
        variance, centre = torch.var_mean(layers, dim=2, correction=0, keepdim=True)
    else:
        weight = valid.float().unsqueeze(-1)
        weight = weight / weight.sum(1, keepdim=True).clamp(min=1)
        centre = (layers * weight).sum(2, keepdim=True)
        variance = ((layers - centre).square() * weight).sum(2, keepdim=True)
    return ((layers - centre) * (variance + 1e-5).rsqrt()).mean(0)
