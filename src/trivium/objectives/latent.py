"""Latent vectors: heads, decoders, posteriors, the KL term and its annealing."""

import math
from abc import ABC
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from trivium.encoders.layers import is_every_token
from trivium.objectives.pairs import gather
from trivium.types import DataSpec, Encoder, Features, Objective, Stem, View


class LatentHead(nn.Module):
    """A linear code of `latent_width` channels and its `TokenDecoder`."""

    def __init__(
        self, encoder: Encoder, *, latent_width: int, decoder_width: int, decoder_depth: int
    ) -> None:
        super().__init__()
        stem = encoder.stem
        self.code = nn.Linear(encoder.width, latent_width)
        self.decoder = TokenDecoder(
            latent_width,
            stem.num_tokens,
            stem.target_width,
            width=decoder_width,
            depth=decoder_depth,
        )

    def forward(
        self, pooled: Float[Tensor, "batch channel"], length: int | None = None
    ) -> Float[Tensor, "batch token target_width"]:
        """Every token's target, or that of the first `length`, from pooled features, in float32."""
        prediction: Tensor = self.decoder(self.code(pooled), length)
        return prediction.float()


class LatentAutoencoder(Objective, ABC):
    """Autoencoders that rebuild the input from a linear code of the pooled features."""

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        latent_width: int,
        decoder_width: int,
        decoder_depth: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = LatentHead(
            encoder,
            latent_width=latent_width,
            decoder_width=decoder_width,
            decoder_depth=decoder_depth,
        )

    def rebuild(
        self, view: View, seen: Shaped[Tensor, "batch ..."]
    ) -> tuple[Float[Tensor, "batch token target_width"], Features]:
        """Predict all tokens from what is seen of a view; and the features of that."""
        features: Features = self.encoder(seen, view.valid)
        return self.head(features.pooled, self.encoder.stem.length(view.values)), features


def reconstruction_error(
    stem: Stem, prediction: Tensor, values: Tensor, features: Features
) -> Float[Tensor, ""]:
    """The stem's distance of a prediction from the clean values, averaged over valid tokens."""
    return mean_over_valid(stem.distance(prediction, stem.target(values)), features)


class Posterior(NamedTuple):
    """A diagonal normal of z for each sample."""

    mu: Float[Tensor, "batch latent"]
    log_variance: Float[Tensor, "batch latent"]

    def sample(self) -> Float[Tensor, "batch latent"]:
        """One draw of each, through which the gradient flows (1312.6114, section 2.4)."""
        return self.mu + torch.exp(0.5 * self.log_variance) * torch.randn_like(self.mu)


def divergence(
    mu: Float[Tensor, "*batch latent"], log_variance: Float[Tensor, "*batch latent"]
) -> Float[Tensor, "*batch latent"]:
    """KL of each unit of diagonal normals from the standard normal, in nats."""
    return 0.5 * (mu.square() + log_variance.exp() - log_variance - 1)


def mean_over_valid(score: Float[Tensor, "batch token"], features: Features) -> Float[Tensor, ""]:
    """Mean of a score per token of the stem over the tokens that hold data.

    Only encoders whose tokens are the stem's can have tokens that are not valid.
    """
    if is_every_token(features.valid):
        return score.mean()
    weight = features.valid.to(score.dtype)
    return torch.where(features.valid, score, 0).sum() / weight.sum()


class TokenDecoder(nn.Module):
    """Unfolds a latent vector into tokens and refines each of them with shared residual MLPs.

    Every token reads the latent through a linear map of its own, whose bias acts as the learned
    position: the dense layer that opens a convolutional decoder, with patches for pixels.
    """

    def __init__(
        self,
        latent_width: int,
        num_tokens: int,
        target_width: int,
        *,
        width: int,
        depth: int,
    ) -> None:
        super().__init__()
        self.unfold = nn.Sequential(
            nn.Linear(latent_width, num_tokens * width), nn.Unflatten(1, (num_tokens, width))
        )
        self.blocks = nn.ModuleList(_block(width) for _ in range(depth))
        self.predict = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, target_width))

    def forward(
        self, latent: Float[Tensor, "batch latent"], length: int | None = None
    ) -> Float[Tensor, "batch token target_width"]:
        """Predict every token's target from the latent, or that of the first `length` tokens."""
        tokens = self.unfold(latent)[:, :length]
        for block in self.blocks:
            tokens = tokens + block(tokens)
        prediction: Tensor = self.predict(tokens)
        return prediction


def _block(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
    )


def negative_log_likelihood(
    stem: Stem,
    distance: Float[Tensor, "batch token"],
    valid: Bool[Tensor, "batch seen"] | None = None,
) -> Float[Tensor, ""]:
    """-log p(x | z) in nats per sample: summed over tokens and values, averaged over the batch.

    `valid` None or of all tokens counts all. Categorical: the cross-entropies. Gaussian: one
    variance for all values at its maximum likelihood, the mean squared error over the batch of all
    ranks (sigma-VAE, arXiv 2006.13202); every rank returns the value of the whole batch.
    """
    distance = distance.float()
    # Not by the values: ranks whose batches differ must gather the same.
    if valid is not None and valid.stride() == (0, 0):
        valid = None
    if valid is not None:
        distance = distance.masked_fill(~valid, 0)
    if stem.likelihood == "categorical":
        return distance.sum(1).mean()
    if valid is None:
        variance = gather(distance.mean().view(1)).mean()
        num_values = distance.new_tensor(distance.shape[1] * stem.target_width)
    else:
        counted = gather(torch.stack([distance.sum(), valid.sum()]).unsqueeze(0))
        total, count = counted.sum(0).unbind()
        variance = total / count
        num_values = count / (len(distance) * len(counted)) * stem.target_width
    return 0.5 * num_values * (torch.log(2 * math.pi * variance.clamp(min=1e-6)) + 1)


class KLAnnealing(nn.Module):
    """A KL with its weight, warm-up and free bits.

    Args:
        beta: Weight of the KL (1804.03599).
        warmup: Share of training over which the weight grows from 0 (1511.06349).
        free_bits: Nats of each unit below which its KL costs the same (1606.04934, C.8).
    """

    strength: Tensor

    def __init__(self, *, beta: float, warmup: float, free_bits: float) -> None:
        super().__init__()
        self.beta, self.warmup, self.free_bits = beta, warmup, free_bits
        self.register_buffer("strength", torch.tensor(0.0 if warmup > 0 else beta))

    def forward(
        self, kl: Float[Tensor, "batch latent"], counted: Bool[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """What is minimised, and the KL itself, in nats per sample of all ranks.

        Samples that are not `counted` must have a KL of 0, and have no free bits.
        """
        mean = gather(kl.mean(0, keepdim=True)).mean(0)
        share = mean.new_ones(())
        if counted is not None:
            share = gather(counted.float().mean(0, keepdim=True)).mean(0)
        weighted = self.strength * torch.maximum(mean, self.free_bits * share).sum()
        return weighted, mean.detach().sum()

    def after_step(self, progress: float) -> None:
        """Let the weight grow over the first `warmup` share of training."""
        if self.warmup > 0:
            self.strength.fill_(self.beta * min(1.0, progress / self.warmup))


def active_units(mu: Float[Tensor, "batch latent"]) -> Float[Tensor, ""]:
    """Units of z whose mean varies over the batch by more than 0.01 (1509.00519)."""
    return (mu.detach().var(0, correction=0) > 0.01).float().sum()
