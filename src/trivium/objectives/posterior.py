"""Normal experts of z, one for each modality, and their products."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trivium.types import Modality


class Expert(NamedTuple):
    """What one modality says of z: a diagonal normal for each sample.

    `present` tells which samples have the modality, `valid` which tokens of it hold data.
    """

    mu: Float[Tensor, "batch latent"]
    log_variance: Float[Tensor, "batch latent"]
    present: Bool[Tensor, " batch"]
    valid: Bool[Tensor, "batch token"]


class Posterior(NamedTuple):
    """A diagonal normal of z for each sample."""

    mu: Float[Tensor, "batch latent"]
    log_variance: Float[Tensor, "batch latent"]

    def sample(self) -> Float[Tensor, "batch latent"]:
        """One draw of each, through which the gradient flows (1312.6114, section 2.4)."""
        return self.mu + torch.exp(0.5 * self.log_variance) * torch.randn_like(self.mu)


Counted = Mapping[Modality, Bool[Tensor, " batch"]]
"""Modalities, and the samples of which each counts."""


def product(experts: Mapping[Modality, Expert], counted: Counted, *, prior: bool) -> Posterior:
    """The normal whose density is the product of those of the counted experts, normalised.

    Precisions add up, and the mean is the mean of the experts' by precision (Cao and Fleet 2014,
    1410.7827). With `prior` the standard normal is one more expert; without, it stands
    for samples of which no expert counts. An expert that does not count has precision 0.
    """
    there = torch.stack([counted[one] for one in counted]).unsqueeze(-1)
    mu = torch.stack([experts[one].mu for one in counted])
    log_precision = -torch.stack([experts[one].log_variance for one in counted])
    mu = torch.where(there, mu, 0.0)
    log_precision = torch.where(there, log_precision, -torch.inf)
    own = torch.zeros_like(mu[:1])
    log_own = own if prior else own.masked_fill(there.any(0, keepdim=True), -torch.inf)
    mu = torch.cat([mu, own])
    log_precision = torch.cat([log_precision, log_own])
    mean = (log_precision.softmax(0) * mu).sum(0)
    return Posterior(mean, -log_precision.logsumexp(0))
