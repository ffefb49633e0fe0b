"""A codebook that follows by moving averages what it quantises."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.objectives.gather import gather

SMOOTHING = 1e-5


class Quantised(NamedTuple):
    """Each item's nearest code, that code's number, and the perplexity of the batch's codes."""

    values: Float[Tensor, "item channel"]
    ids: Int64[Tensor, " item"]
    perplexity: Float[Tensor, ""]


class Codebook(nn.Module):
    r"""Nearest codes, learnt by exponential moving averages (1711.00937, appendix A.1).

    $N_k \leftarrow \gamma N_k + (1 - \gamma) n_k$,
    $m_k \leftarrow \gamma m_k + (1 - \gamma) \sum_{j \to k} z_j$ and $e_k = m_k / \hat{N}_k$
    over the items j of all ranks that chose code k; $\hat{N}_k = (N_k + \epsilon) N / (N + K
    \epsilon)$ with $N = \sum_k N_k$ is the Laplace smoothing of the reference,
    `VectorQuantizerEMA` of github.com/google-deepmind/sonnet, whose averages start at 0 and are
    corrected for it; here they start as below.

    A code whose count N_k falls below `restart` times the mean use (items per code) is dead: it
    becomes a random item of the present batch, with the mean use as its count (as in Jukebox,
    2005.00341, section 3.1). All counts start at 0, so that the first batch makes all codes:
    they have the scale of what is quantised, whatever that is, and all of them are in reach.

    The codebook moves only in training mode with gradients enabled; pictures leave it alone.

    Args:
        num_codes: How many codes there are.
        width: Channels of a code.
        decay: Gamma, in [0, 1).
        restart: Share of the mean use below which a code is dead, in (0, 1).

    Raises:
        ValueError: `decay` or `restart` is out of its range.
    """

    codes: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, num_codes: int, width: int, *, decay: float, restart: float) -> None:
        super().__init__()
        if not 0 <= decay < 1 or not 0 < restart < 1:
            raise ValueError(
                f"a codebook needs a decay in [0, 1) and a restart in (0, 1), but got {decay} "
                f"and {restart}."
            )
        self.decay, self.restart = decay, restart
        self.register_buffer("codes", torch.randn(num_codes, width))
        self.register_buffer("counts", torch.zeros(num_codes))
        self.register_buffer("sums", torch.zeros(num_codes, width))

    @torch.no_grad()
    def forward(
        self, items: Float[Tensor, "item channel"], valid: Bool[Tensor, " item"], *, learn: bool
    ) -> Quantised:
        """Quantise float32 items; with `learn` the codebook then follows the valid ones.

        With several ranks all of them must hold the same number of items and call it together
        where they learn; otherwise each rank is on its own.
        """
        items, weights = items.detach(), valid.to(items.dtype)
        with torch.autocast(items.device.type, enabled=False):
            if learn:
                everything, everyone = gather(items), gather(weights)
                self._revive(everything, everyone, gather(torch.rand_like(weights)))
            ids = self.nearest(items)
            values = self.codes[ids]
            chosen = F.one_hot(ids, len(self.codes)) * weights.unsqueeze(1)
            if learn:
                chosen = gather(chosen)
                self._follow(everything, chosen)
        return Quantised(values, ids, perplexity(chosen.sum(0)))

    def nearest(self, items: Float[Tensor, "item channel"]) -> Int64[Tensor, " item"]:
        """The code of smallest squared distance; by a matrix product, which FLOPs count."""
        # |z - e|^2 = |z|^2 - 2 (z e - |e|^2 / 2), and |z|^2 is the same for all codes.
        score = items @ self.codes.T - 0.5 * self.codes.square().sum(1)
        return score.argmax(1)

    def _revive(self, items: Tensor, weights: Tensor, lots: Tensor) -> None:
        """Put random valid items, each at most once while they last, where codes are dead."""
        num_items = weights.sum()
        use = num_items / len(self.counts)
        slots = torch.arange(len(self.counts), device=items.device) % num_items.long()
        fresh = items[(lots * weights).argsort(descending=True)[slots]]
        dead = self.counts < self.restart * use
        self.codes.copy_(torch.where(dead.unsqueeze(1), fresh, self.codes))
        self.sums.copy_(torch.where(dead.unsqueeze(1), use * fresh, self.sums))
        self.counts.copy_(torch.where(dead, use, self.counts))

    def _follow(self, items: Tensor, chosen: Tensor) -> None:
        # One-hot products: an index_add would not repeat bit for bit on a GPU.
        self.counts.lerp_(chosen.sum(0), 1 - self.decay)
        self.sums.lerp_(chosen.T @ items, 1 - self.decay)
        total = self.counts.sum()
        smoothed = (self.counts + SMOOTHING) * total / (total + len(self.counts) * SMOOTHING)
        self.codes.copy_(self.sums / smoothed.unsqueeze(1))


def perplexity(uses: Float[Tensor, " code"]) -> Float[Tensor, ""]:
    """Exponential of the entropy of code use: K if all are used alike, 1 if only one is."""
    entropy: Tensor = torch.special.entr(uses / uses.sum()).sum()
    return entropy.exp()
