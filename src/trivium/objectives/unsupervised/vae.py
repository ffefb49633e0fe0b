"""VAE: auto-encoding variational Bayes."""

from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from trivium.objectives.latent import (
    KLAnnealing,
    Posterior,
    TokenDecoder,
    active_units,
    divergence,
    negative_log_likelihood,
)
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, View, Views

NUM_TRAVERSALS = 3


@final
class VAE(Objective):
    r"""Maximise the evidence lower bound (Kingma and Welling 2013).

    arXiv 1312.6114, Eq. 10 with one sample of z, in nats, summed over dimensions and averaged over
    the batch: $L = -\log p(x | z) + \beta_t \sum_j \max(KL_j, \lambda)$ with
    $KL_j = \frac{1}{2} (\mu_j^2 + \sigma_j^2 - \log \sigma_j^2 - 1)$ averaged over the batch of all
    ranks. Likelihood: the stem's, see `negative_log_likelihood`; `beta` (beta-VAE, arXiv
    1804.03599), `warmup` and `free_bits` (lambda): see `KLAnnealing`. Reference:
    github.com/orybkin/sigma-vae-pytorch. The encoder's pooled features are probed, of which mu is a
    linear map.

    Terms: `loss`, `reconstruction` (-log p(x | z)), `kl` (before beta and free bits), all in nats
    per sample; `active_units` (units with Var(mu) > 0.01, arXiv 1509.00519).
    """

    title: ClassVar[str] = "VAE"
    paradigm: ClassVar[Paradigm] = "unsupervised"
    needs: ClassVar[Needs] = Needs(target=True)

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        latent_width: int,
        decoder_width: int,
        decoder_depth: int,
        beta: float,
        warmup: float,
        free_bits: float,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.mu = nn.Linear(encoder.width, latent_width)
        self.log_variance = nn.Linear(encoder.width, latent_width)
        stem = encoder.stem
        self.decoder = TokenDecoder(
            latent_width,
            stem.num_tokens,
            stem.target_width,
            width=decoder_width,
            depth=decoder_depth,
        )
        self.annealing = KLAnnealing(beta=beta, warmup=warmup, free_bits=free_bits)

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        view = views.views[0]
        posterior, valid = self.posterior(view)
        stem, z = self.encoder.stem, posterior.sample()
        prediction = self.decoder(z, stem.length(view.values)).float()
        distance = stem.distance(prediction, stem.target(view.values))
        reconstruction = negative_log_likelihood(stem, distance, valid)
        weighted, kl = self.annealing(divergence(*posterior))
        return {
            "loss": reconstruction + weighted,
            "reconstruction": reconstruction.detach(),
            "kl": kl,
            "active_units": active_units(posterior.mu),
        }

    def posterior(self, view: View) -> tuple[Posterior, Bool[Tensor, "batch token"]]:
        """q(z | x), and which tokens hold data."""
        _, pooled, valid = self.encoder(view.values, view.valid)
        return Posterior(self.mu(pooled).float(), self.log_variance(pooled).float()), valid

    def after_step(self, progress: float) -> None:
        """Let beta grow over the first `warmup` share of training."""
        self.annealing.after_step(progress)

    @torch.no_grad()
    def pictures(self, views: Views) -> dict[str, Shaped[Tensor, "batch ..."]]:
        """The first view, its reconstruction from mu, samples from the prior, and traversals.

        `traversal 1` to `traversal 3`: the first sample's mu, with one unit moved from -3 to 3
        over the columns; the units are the most active ones (largest variance of mu over these
        samples).
        """
        view, stem = views.views[0], self.encoder.stem
        mu = self.posterior(view)[0].mu
        latents = {"reconstruction": mu, "sample": torch.randn_like(mu)}
        latents |= {f"traversal {n}": z for n, z in enumerate(traversals(mu, NUM_TRAVERSALS), 1)}
        length = stem.length(view.values)
        rows = {name: stem.render(self.decoder(z, length).float()) for name, z in latents.items()}
        return {"input": stem.render(stem.target(view.values)), **rows}


def traversals(
    mu: Float[Tensor, "batch latent"], num_units: int
) -> list[Float[Tensor, "batch latent"]]:
    """The first sample's mu with one of its most active units moved from -3 to 3 in each."""
    variance = mu.var(0, correction=0)
    active = variance.argsort(descending=True, stable=True)[:num_units]
    steps = torch.linspace(-3, 3, len(mu), device=mu.device)
    start = mu[:1].expand_as(mu)
    return [start.index_copy(1, unit.view(1), steps.view(-1, 1)) for unit in active]
