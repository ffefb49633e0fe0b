"""What a divergence from the prior costs."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from trivium.objectives.gather import gather


class Penalty(nn.Module):
    """A KL with its weight, warm-up and free bits, as `trivium.objectives.unsupervised.vae.VAE`.

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
        self, kl: Float[Tensor, "batch latent"], counted: Bool[Tensor, " batch"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """What is to be minimised, and the KL itself, in nats per sample of all ranks.

        Samples that are not `counted` must have a KL of 0, and have no free bits.
        """
        mean = gather(kl.mean(0, keepdim=True)).mean(0)
        share = gather(counted.float().mean(0, keepdim=True)).mean(0)
        price = self.strength * torch.maximum(mean, self.free_bits * share).sum()
        return price, mean.detach().sum()

    def after_step(self, progress: float) -> None:
        """Let the weight grow over the first `warmup` share of training."""
        if self.warmup > 0:
            self.strength.fill_(self.beta * min(1.0, progress / self.warmup))


def active_units(mu: Float[Tensor, "batch latent"]) -> Float[Tensor, ""]:
    """Units of z whose mean varies over the batch by more than 0.01 (1509.00519)."""
    return (mu.detach().var(0, correction=0) > 0.01).float().sum()
