"""From one latent vector back to a prediction for every token, and how likely it is."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from trivium.objectives.gather import gather
from trivium.types import Stem


class TokenDecoder(nn.Module):
    """Unfolds a latent vector into tokens and refines each of them with shared residual MLPs.

    Every token reads the latent through a linear map of its own, whose bias acts as the learned
    position; this is the dense layer that opens a convolutional decoder, with patches in place
    of pixels. All tokens see the whole latent, so no attention is needed.
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

    Of valid tokens alone, where the encoder's tokens are the stem's; None or a `valid` of all
    tokens counts all. Categorical: the cross-entropies. Gaussian: one variance for all values, at
    its maximum likelihood, which is the mean squared error over the batch of all ranks (sigma-VAE,
    arXiv 2006.13202); the gradient is then that of the squared error divided by twice this
    variance, and every rank returns the value of the whole batch.
    """
    distance = distance.float()
    # Not by a look at the values: ranks whose batches differ must gather the same.
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
