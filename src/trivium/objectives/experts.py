"""Variational posteriors of several modalities: one normal expert each, and their products."""

from abc import ABC
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from trivium.encoders.towers import Towers
from trivium.objectives.latent import (
    KLAnnealing,
    Posterior,
    TokenDecoder,
    negative_log_likelihood,
)
from trivium.objectives.pairs import each, gather
from trivium.types import DataSpec, Modality, MultimodalInput, Objective, Stem, Views


class Expert(NamedTuple):
    """What one modality says of z: a diagonal normal for each sample.

    `present` tells which samples have the modality, `valid` which tokens of it hold data.
    """

    mu: Float[Tensor, "batch latent"]
    log_variance: Float[Tensor, "batch latent"]
    present: Bool[Tensor, " batch"]
    valid: Bool[Tensor, "batch token"]


Counted = Mapping[Modality, Bool[Tensor, " batch"]]
"""Modalities, and the samples of which each counts."""


def product(experts: Mapping[Modality, Expert], counted: Counted, *, prior: bool) -> Posterior:
    """The normal whose density is the product of those of the counted experts, normalised.

    Precisions add up, and the mean is the mean of the experts' by precision (Cao and Fleet 2014,
    1410.7827). With `prior` the standard normal is one more expert; without, it stands
    for samples of which no expert counts. An expert that does not count has precision 0.
    """
    present = torch.stack([counted[one] for one in counted]).unsqueeze(-1)
    mu = torch.stack([experts[one].mu for one in counted])
    log_precision = -torch.stack([experts[one].log_variance for one in counted])
    mu = torch.where(present, mu, 0.0)
    log_precision = torch.where(present, log_precision, -torch.inf)
    own = torch.zeros_like(mu[:1])
    log_own = own if prior else own.masked_fill(present.any(0, keepdim=True), -torch.inf)
    mu = torch.cat([mu, own])
    log_precision = torch.cat([log_precision, log_own])
    mean = (log_precision.softmax(0) * mu).sum(0)
    return Posterior(mean, -log_precision.logsumexp(0))


class Experts(nn.Module):
    """Heads and decoders of variational autoencoders of several modalities.

    The mean of each expert is its tower's projection to the joint space (not of unit length), so
    that this space is z; its log-variance is another linear map of the tower's pooled features.

    Args:
        encoder: Whose stems say what is predicted.
        decoder_width: Channels of the decoders' tokens.
        decoder_depth: Residual MLPs of each decoder.
        weights: Multiply each modality's -log p(x | z), lambda in MVAE (1802.05335); None: the
            largest number of values (or of ids) of a sample, over the modality's own.
        prior: Whether products of experts include the standard normal.

    Raises:
        ValueError: `weights` lacks a modality.
    """

    def __init__(
        self,
        encoder: Towers,
        *,
        decoder_width: int,
        decoder_depth: int,
        weights: Mapping[str, float | int] | None,
        prior: bool,
    ) -> None:
        super().__init__()
        self.prior, latent = prior, encoder.joint_width
        towers = {one: encoder.tower(one) for one in encoder.modalities}
        self.log_variance = nn.ModuleDict(
            {one: nn.Linear(tower.width, latent) for one, tower in towers.items()}
        )
        size = {"width": decoder_width, "depth": decoder_depth}
        self.decoders = nn.ModuleDict(
            {
                one: TokenDecoder(latent, tower.stem.num_tokens, tower.stem.target_width, **size)
                for one, tower in towers.items()
            }
        )
        numbers = {one: _num_values(tower.stem) for one, tower in towers.items()}
        most = max(numbers.values())
        alike: dict[str, float | int] = {one: most / number for one, number in numbers.items()}
        self.weights = each(alike if weights is None else weights, "weights", encoder.modalities)

    def forward(self, encoder: Towers, senses: MultimodalInput) -> dict[Modality, Expert]:
        """The expert of each modality, in float32."""
        found = {}
        for one, features in encoder.each(senses).items():
            mu = encoder.project[one](features.pooled).float()
            log_variance = self.log_variance[one](features.pooled).float()
            found[one] = Expert(mu, log_variance, senses[one].present_mask, features.valid)
        return found

    def product(self, experts: Mapping[Modality, Expert], counted: Counted) -> Posterior:
        """The posterior given the counted ones, see `trivium.objectives.experts.product`."""
        return product(experts, counted, prior=self.prior)

    def decode(
        self,
        encoder: Towers,
        senses: MultimodalInput,
        one: Modality,
        z: Float[Tensor, "batch latent"],
    ) -> Float[Tensor, "batch token target_width"]:
        """Predict every token of a modality, as many as its batch has."""
        length = encoder.tower(one).stem.length(senses[one].values)
        prediction: Tensor = self.decoders[one](z, length)
        return prediction.float()

    def surprise(
        self,
        encoder: Towers,
        senses: MultimodalInput,
        experts: Mapping[Modality, Expert],
        z: Float[Tensor, "batch latent"],
        counted: Counted,
    ) -> dict[Modality, Float[Tensor, ""]]:
        """-log p(x | z) of the counted samples of each counted modality, without its weight.

        In nats per sample of the batch: those that do not count add nothing.
        """
        found: dict[Modality, Tensor] = {}
        for one, present in counted.items():
            stem, valid = encoder.tower(one).stem, experts[one].valid
            target = stem.target(senses[one].values)
            distance = stem.distance(self.decode(encoder, senses, one, z), target)
            # Only encoders whose tokens are the stem's can have tokens that are not valid.
            tokens = valid if valid.shape == distance.shape else torch.ones_like(distance).bool()
            nats = negative_log_likelihood(stem, distance, tokens & present.unsqueeze(1))
            # A likelihood of nothing would be no number.
            anyone = gather(present.float().amax(0, keepdim=True)).amax() > 0
            found[one] = torch.where(anyone, nats, 0.0)
        return found

    def weigh(self, surprise: Mapping[Modality, Tensor]) -> Float[Tensor, ""]:
        """The sum over modalities with their weights."""
        return torch.stack([self.weights[one] * nats for one, nats in surprise.items()]).sum()

    @torch.no_grad()
    def pictures(
        self, encoder: Towers, senses: MultimodalInput
    ) -> dict[str, Shaped[Tensor, "batch ..."]]:
        """Each modality, and what is generated of it from each other one alone.

        From the mean of the posterior; where a sample lacks the other one, from that of the prior.
        """
        experts, rows = self(encoder, senses), {}
        for one, sense in senses.items():
            stem = encoder.tower(one).stem
            rows[str(one)] = stem.render(stem.target(sense.values))
            for other, expert in experts.items():
                if other != one:
                    z = self.product(experts, {other: expert.present}).mu
                    prediction = self.decode(encoder, senses, one, z)
                    rows[f"{one} from {other}"] = stem.render(prediction)
        return rows


class MultimodalVAE(Objective, ABC):
    """Variational autoencoders of several modalities: experts, and an annealed KL.

    Arguments as of `Experts` and `KLAnnealing`.
    """

    joint: ClassVar[bool] = True
    prior: ClassVar[bool]
    """Whether products of experts include the standard normal."""
    encoder: Towers

    def __init__(
        self,
        encoder: Towers,
        data: DataSpec,  # noqa: ARG002
        *,
        decoder_width: int,
        decoder_depth: int,
        weights: Mapping[str, float | int] | None,
        beta: float,
        warmup: float,
        free_bits: float,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        size = {"decoder_width": decoder_width, "decoder_depth": decoder_depth}
        self.experts = Experts(encoder, weights=weights, prior=self.prior, **size)
        self.annealing = KLAnnealing(beta=beta, warmup=warmup, free_bits=free_bits)

    def after_step(self, progress: float) -> None:
        """Let beta grow over the first `warmup` share of training."""
        self.annealing.after_step(progress)

    def pictures(self, views: Views) -> dict[str, Shaped[Tensor, "batch ..."]]:
        """Each modality of the first view, and what is generated of it from each other one."""
        return self.experts.pictures(self.encoder, views.views[0].values)


def _num_values(stem: Stem) -> int:
    """What a sample's likelihood is a sum over, at most."""
    values = 1 if stem.likelihood == "categorical" else stem.target_width
    return stem.num_tokens * values
