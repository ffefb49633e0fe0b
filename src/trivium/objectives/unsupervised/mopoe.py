"""MoPoE-VAE: a variational autoencoder of several modalities, by a mixture over all subsets."""

from collections.abc import Mapping
from itertools import combinations
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from trivium.encoders.towers import Towers
from trivium.objectives.experts import Expert, Experts, Posterior
from trivium.objectives.latent import KLAnnealing, active_units
from trivium.objectives.unsupervised.vae import divergence
from trivium.types import DataSpec, Modality, Needs, Objective, Paradigm, Terms, Views


class Mixture(NamedTuple):
    """Components of a uniform mixture, and which of them each sample has.

    A component that a sample does not have is the standard normal there.
    """

    mu: Float[Tensor, "subset batch latent"]
    log_variance: Float[Tensor, "subset batch latent"]
    available: Bool[Tensor, "subset batch"]

    def choose(self) -> Posterior:
        """One of its components for each sample, all being equally likely."""
        draw = torch.rand(self.available.shape, device=self.mu.device)
        chosen = draw.masked_fill(~self.available, -1).argmax(0)
        place = chosen.view(1, -1, 1).expand_as(self.mu[:1])
        return Posterior(self.mu.gather(0, place)[0], self.log_variance.gather(0, place)[0])

    def mean(self) -> Float[Tensor, "batch latent"]:
        """Of every sample."""
        return self.mu.sum(0) / self._number()

    def divergence(self) -> Float[Tensor, "batch latent"]:
        """Mean over the components of their KL from the standard normal."""
        kl = [divergence(*each) for each in zip(self.mu, self.log_variance, strict=True)]
        return torch.stack(kl).sum(0) / self._number()

    def _number(self) -> Tensor:
        return self.available.sum(0).clamp(min=1).unsqueeze(1)


@final
class MoPoE(Objective):
    r"""Maximise the generalised multimodal lower bound (Sutter, Daunhawer and Vogt 2021).

    arXiv 2105.02470, section 3: the posterior is a uniform mixture over all non-empty subsets $X_k$
    of a sample's modalities X of products of experts $q_k \propto \prod_{i \in X_k} q(z | x_i)$.
    With the KL of the mixture bounded by the mean of those of its components (Jensen; as in the
    proofs there),

    .. math:: L = -E_q[\sum_{i \in X} \lambda_i \log p(x_i | z)]
        + \beta_t \frac{1}{K} \sum_k KL(q_k, p(z)),

    in nats, averaged over the batch, with one z of a subset drawn for each sample, from which all
    its modalities are reconstructed. Subsets with a modality that a sample lacks are not in its
    mixture. Reference: github.com/thomassutter/MoPoE, which gives components to equal shares of a
    batch, and to the product of all experts that of the prior as well; here, as in the paper, no
    product has it, so that the subset of one modality is its expert.

    Likelihoods, `beta`, `warmup` and `free_bits` are as in `VAE`; the weights lambda as in
    `trivium.objectives.experts.Experts`, z is the towers' joint space before it is brought to unit
    length.

    Terms: `loss`, `reconstruction_<modality>` (without weights) and `kl` (the mean over subsets),
    in nats per sample of the batch; `active_units`, of the mixture's mean.
    """

    paradigm: ClassVar[Paradigm] = "unsupervised"
    joint: ClassVar[bool] = True
    needs: ClassVar[Needs] = Needs(modalities=("several",), target=True)
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
        self.experts = Experts(
            encoder,
            decoder_width=decoder_width,
            decoder_depth=decoder_depth,
            weights=weights,
            prior=False,
        )
        self.penalty = KLAnnealing(beta=beta, warmup=warmup, free_bits=free_bits)

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        senses = views.views[0].values
        experts = self.experts(self.encoder, senses)
        mixture = self.mixture(experts)
        present = {one: expert.present for one, expert in experts.items()}
        z = mixture.choose().sample()
        surprise = self.experts.surprise(self.encoder, senses, experts, z, present)
        price, kl = self.penalty(mixture.divergence(), mixture.available.any(0))
        terms = {f"reconstruction_{one}": nats.detach() for one, nats in surprise.items()}
        loss = self.experts.weigh(surprise) + price
        return {"loss": loss, **terms, "kl": kl, "active_units": active_units(mixture.mean())}

    def mixture(self, experts: Mapping[Modality, Expert]) -> Mixture:
        """The products of all non-empty subsets of the experts, smaller subsets first."""
        parts, available = [], []
        for size in range(1, len(experts) + 1):
            for some in combinations(experts, size):
                whole = torch.stack([experts[one].present for one in some]).all(0)
                parts.append(self.experts.product(experts, dict.fromkeys(some, whole)))
                available.append(whole)
        mu, log_variance = (torch.stack(values) for values in zip(*parts, strict=True))
        return Mixture(mu, log_variance, torch.stack(available))

    def after_step(self, progress: float) -> None:
        """Let beta grow over the first `warmup` share of training."""
        self.penalty.after_step(progress)

    def pictures(self, views: Views) -> dict[str, Shaped[Tensor, "batch ..."]]:
        """Each modality of the first view, and what is generated of it from each other one."""
        return self.experts.pictures(self.encoder, views.views[0].values)
