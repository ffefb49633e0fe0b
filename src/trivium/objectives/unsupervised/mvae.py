"""MVAE: a variational autoencoder of several modalities, by products of experts."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from trivium.encoders.towers import Towers
from trivium.objectives.experts import Counted, Expert, MultimodalVAE
from trivium.objectives.latent import active_units, divergence
from trivium.types import DataSpec, Modality, MultimodalInput, Needs, Paradigm, Terms, Views


@final
class MVAE(MultimodalVAE):
    r"""Maximise lower bounds of all modalities together, and of some (Wu and Goodman 2018).

    arXiv 1802.05335, section 2: the posterior of a set X of modalities is a product of experts,
    $q(z | X) \propto p(z) \prod_{i \in X} q(z | x_i)$ with p(z) standard normal, and

    .. math:: B(X) = \sum_{i \in X} \lambda_i E_q[\log p(x_i | z)] - \beta_t KL(q(z | X), p(z)).

    The loss is $-B(X) - \sum_i B(\{x_i\}) - \sum_j B(X_j)$: of all modalities, of each alone, and
    of `num_subsets` random subsets of two or more, drawn for every sample, where there are more
    than two modalities; in nats, averaged over the batch. Modalities that a sample lacks are in
    none of its sets. For `beta`, `warmup`, `free_bits` see `KLAnnealing`, for the weights lambda
    `Experts`; z is the towers' joint space, not of unit length. Reference:
    github.com/mhw32/multimodal-vae-public.

    Terms: `loss`; of all modalities together, without weights, `reconstruction_<modality>` and
    `kl`, in nats per sample of the batch, and `active_units`.
    """

    title: ClassVar[str] = "MVAE"
    paradigm: ClassVar[Paradigm] = "unsupervised"
    prior: ClassVar[bool] = True
    needs: ClassVar[Needs] = Needs(modalities=("several",), target=True)

    def __init__(
        self,
        encoder: Towers,
        data: DataSpec,
        *,
        decoder_width: int,
        decoder_depth: int,
        weights: Mapping[str, float | int] | None,
        num_subsets: int,
        beta: float,
        warmup: float,
        free_bits: float,
    ) -> None:
        super().__init__(
            encoder,
            data,
            decoder_width=decoder_width,
            decoder_depth=decoder_depth,
            weights=weights,
            beta=beta,
            warmup=warmup,
            free_bits=free_bits,
        )
        self.num_subsets = num_subsets

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        senses = views.views[0].values
        experts = self.experts(self.encoder, senses)
        present = {one: expert.present for one, expert in experts.items()}
        loss, terms = self.bound(senses, experts, present)
        for counted in self.subsets(present):
            loss = loss + self.bound(senses, experts, counted)[0]
        mu = self.experts.product(experts, present).mu
        return {"loss": loss, **terms, "active_units": active_units(mu)}

    def bound(
        self, senses: MultimodalInput, experts: Mapping[Modality, Expert], counted: Counted
    ) -> tuple[Float[Tensor, ""], Terms]:
        """-B of the counted modalities of each sample, and what it consists of."""
        posterior = self.experts.product(experts, counted)
        z = posterior.sample()
        surprise = self.experts.surprise(self.encoder, senses, experts, z, counted)
        weighted, kl = self.annealing(
            divergence(*posterior), torch.stack([*counted.values()]).any(0)
        )
        terms = {f"reconstruction_{one}": nats.detach() for one, nats in surprise.items()}
        return self.experts.weigh(surprise) + weighted, {**terms, "kl": kl}

    def subsets(self, present: Counted) -> Iterator[Counted]:
        """Each modality alone, then random subsets that are neither one modality nor all."""
        for one, samples in present.items():
            yield {one: samples}
        sizes = range(2, len(present))
        found = [some for size in sizes for some in combinations(present, size)]
        if not found:
            return
        masks = torch.stack([*present.values()], 1)
        members = torch.tensor([[one in some for one in present] for some in found])
        order = torch.rand(len(masks), len(found), device=masks.device).argsort(1)
        for chosen in order[:, : self.num_subsets].unbind(1):
            columns = (members.to(masks.device)[chosen] & masks).unbind(1)
            yield dict(zip(present, columns, strict=True))
