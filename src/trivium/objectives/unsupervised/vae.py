"""VAE: auto-encoding variational Bayes."""

from typing import ClassVar, final

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from trivium.objectives.latent import TokenDecoder, active_units, negative_log_likelihood
from trivium.objectives.pairs import gather
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, View, Views

NUM_TRAVERSALS = 3


@final
class VAE(Objective):
    r"""Maximise the evidence lower bound (Kingma and Welling 2013).

    arXiv 1312.6114, Eq. 10 with one sample of z, in nats, summed over dimensions and averaged
    over the batch: $L = -\log p(x | z) + \beta_t \sum_j \max(KL_j, \lambda)$ with
    $KL_j = \frac{1}{2} (\mu_j^2 + \sigma_j^2 - \log \sigma_j^2 - 1)$ averaged over the batch of
    all ranks.

    Likelihood: the stem's. Categorical is the cross-entropy of the tokens; gaussian has one
    variance for all values, set to its optimum, the mean squared error over the batch of all
    ranks (sigma-VAE, arXiv 2006.13202), so that beta = 1 is a true bound and nothing is tuned
    by hand.
    `beta` weighs the KL (beta-VAE, arXiv 1804.03599) and grows from 0 over the first `warmup`
    share of training (arXiv 1511.06349); `free_bits` is lambda, in nats per unit of z
    (arXiv 1606.04934, C.8). Reference: github.com/orybkin/sigma-vae-pytorch.

    The encoder's pooled features are probed, never a sample of z; mu is a linear map of them,
    so that a linear probe on them sees all of mu.

    Terms: `loss`, `reconstruction` (-log p(x | z)), `kl` (before beta and free bits), all in
    nats per sample; `active_units` (units with Var(mu) > 0.01, arXiv 1509.00519).
    """

    paradigm: ClassVar[Paradigm] = "unsupervised"
    needs: ClassVar[Needs] = Needs(target=True)
    strength: Tensor

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
        self.beta, self.warmup, self.free_bits = beta, warmup, free_bits
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
        self.register_buffer("strength", torch.tensor(0.0 if warmup > 0 else beta))

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        view = views.views[0]
        mu, log_variance, valid = self.posterior(view)
        z = mu + torch.exp(0.5 * log_variance) * torch.randn_like(mu)
        stem = self.encoder.stem
        length = stem.length(view.values)
        distance = stem.distance(self.decoder(z, length).float(), stem.target(view.values))
        reconstruction = negative_log_likelihood(stem, distance, valid)
        kl = gather(divergence(mu, log_variance).mean(0, keepdim=True)).mean(0)
        loss = reconstruction + self.strength * kl.clamp(min=self.free_bits).sum()
        terms = {"reconstruction": reconstruction.detach(), "kl": kl.detach().sum()}
        return {"loss": loss, **terms, "active_units": active_units(mu)}

    def posterior(self, view: View) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and log-variance of q(z | x), each [batch, latent], and which tokens hold data."""
        _, pooled, valid = self.encoder(view.values, view.valid)
        return self.mu(pooled).float(), self.log_variance(pooled).float(), valid

    def after_step(self, progress: float) -> None:
        """Let beta grow over the first `warmup` share of training."""
        if self.warmup > 0:
            self.strength.fill_(self.beta * min(1.0, progress / self.warmup))

    @torch.no_grad()
    def pictures(self, views: Views) -> dict[str, Shaped[Tensor, "batch ..."]]:
        """The first view, its reconstruction from mu, samples from the prior, and traversals.

        `traversal 1` to `traversal 3`: the first sample's mu, with one unit moved from -3 to 3
        over the columns; the units are the most active ones (largest variance of mu over these
        samples).
        """
        view, stem = views.views[0], self.encoder.stem
        mu, *_ = self.posterior(view)
        latents = {"reconstruction": mu, "sample": torch.randn_like(mu)}
        latents |= {f"traversal {n}": z for n, z in enumerate(traversals(mu, NUM_TRAVERSALS), 1)}
        length = stem.length(view.values)
        rows = {name: stem.render(self.decoder(z, length).float()) for name, z in latents.items()}
        return {"input": stem.render(stem.target(view.values)), **rows}


def divergence(
    mu: Float[Tensor, "batch latent"], log_variance: Float[Tensor, "batch latent"]
) -> Float[Tensor, "batch latent"]:
    """KL of each unit's posterior from the standard normal, in nats."""
    return 0.5 * (mu.square() + log_variance.exp() - log_variance - 1)


def traversals(
    mu: Float[Tensor, "batch latent"], num_units: int
) -> list[Float[Tensor, "batch latent"]]:
    """The first sample's mu with one of its most active units moved from -3 to 3 in each."""
    variance = mu.var(0, correction=0)
    active = variance.argsort(descending=True, stable=True)[:num_units]
    steps = torch.linspace(-3, 3, len(mu), device=mu.device)
    start = mu[:1].expand_as(mu)
    return [start.index_copy(1, unit.view(1), steps.view(-1, 1)) for unit in active]
