"""MoPoE-VAE: a variational autoencoder of several modalities, by a mixture over all subsets."""

from collections.abc import Mapping
from itertools import combinations
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trivium.objectives.experts import Expert, MultimodalVAE
from trivium.objectives.latent import Posterior, active_units, divergence
from trivium.types import Modality, Needs, Paradigm, Terms, Views


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
        index = chosen.view(1, -1, 1).expand_as(self.mu[:1])
        return Posterior(self.mu.gather(0, index)[0], self.log_variance.gather(0, index)[0])

    def mean(self) -> Float[Tensor, "batch latent"]:
        """Of every sample."""
        return self.mu.sum(0) / self._number()

    def divergence(self) -> Float[Tensor, "batch latent"]:
        """Mean over the components of their KL from the standard normal."""
        return divergence(self.mu, self.log_variance).sum(0) / self._number()

    def _number(self) -> Tensor:
        return self.available.sum(0).clamp(min=1).unsqueeze(1)


@final
class MoPoE(MultimodalVAE):
    r"""Maximise the generalised multimodal lower bound (Sutter, Daunhawer and Vogt 2021).

    arXiv 2105.02470, section 3: the posterior is a uniform mixture over all non-empty subsets $X_k$
    of a sample's modalities X of products of experts $q_k \propto \prod_{i \in X_k} q(z | x_i)$,
    its KL bounded by the mean of those of its components:

    .. math:: L = -E_q[\sum_{i \in X} \lambda_i \log p(x_i | z)]
        + \beta_t \frac{1}{K} \sum_k KL(q_k, p(z)),

    in nats, averaged over the batch, with one z of a subset drawn for each sample. Subsets with a
    modality that a sample lacks are not in its mixture. Reference: github.com/thomassutter/MoPoE,
    which gives components to equal shares of a batch, and the prior to the product of all experts.
    Settings as in `MVAE`.

    Terms: `loss`, `reconstruction_<modality>` (without weights) and `kl` (the mean over subsets),
    in nats per sample of the batch; `active_units`, of the mixture's mean.
    """

    title: ClassVar[str] = "MoPoE-VAE"
    paradigm: ClassVar[Paradigm] = "unsupervised"
    prior: ClassVar[bool] = False
    needs: ClassVar[Needs] = Needs(modalities=("several",), target=True)

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        senses = views.views[0].values
        experts = self.experts(self.encoder, senses)
        mixture = self.mixture(experts)
        present = {one: expert.present for one, expert in experts.items()}
        z = mixture.choose().sample()
        surprise = self.experts.surprise(self.encoder, senses, experts, z, present)
        weighted, kl = self.annealing(mixture.divergence(), mixture.available.any(0))
        terms = {f"reconstruction_{one}": nats.detach() for one, nats in surprise.items()}
        loss = self.experts.weigh(surprise) + weighted
        return {"loss": loss, **terms, "kl": kl, "active_units": active_units(mixture.mean())}

    def mixture(self, experts: Mapping[Modality, Expert]) -> Mixture:
        """The products of all non-empty subsets of the experts, smaller subsets first."""
        parts, available = [], []
        for size in range(1, len(experts) + 1):
            for some in combinations(experts, size):
                complete = torch.stack([experts[one].present for one in some]).all(0)
                parts.append(self.experts.product(experts, dict.fromkeys(some, complete)))
                available.append(complete)
        mu, log_variance = (torch.stack(values) for values in zip(*parts, strict=True))
        return Mixture(mu, log_variance, torch.stack(available))
