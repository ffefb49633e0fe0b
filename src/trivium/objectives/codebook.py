"""Codebooks by moving averages, and spherical k-means."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.objectives.pairs import gather

SMOOTHING = 1e-5


class Quantised(NamedTuple):
    """Each item's nearest code, that code's number, and the perplexity of the batch's codes."""

    values: Float[Tensor, "item channel"]
    ids: Int64[Tensor, " item"]
    perplexity: Float[Tensor, ""]


class Codebook(nn.Module):
    r"""Nearest codes, learned by exponential moving averages (1711.00937, appendix A.1).

    $N_k \leftarrow \gamma N_k + (1 - \gamma) n_k$, $m_k \leftarrow \gamma m_k + (1 - \gamma)
    \sum_{j \to k} z_j$, $e_k = m_k / \hat{N}_k$ over the items j of all ranks that chose code k;
    $\hat{N}_k = (N_k + \epsilon) N / (N + K \epsilon)$ with $N = \sum_k N_k$. Reference:
    `VectorQuantizerEMA` of github.com/google-deepmind/sonnet. A code whose count falls below
    `restart` times the mean use is replaced by a random item of the batch, with the mean use as its
    count (Jukebox, 2005.00341, section 3.1); counts start at 0, so that the first batch makes all
    codes.

    Args:
        num_codes: How many codes there are.
        width: Channels of a code.
        decay: Gamma, in [0, 1).
        restart: Share of the mean use below which a code is replaced, in (0, 1).

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

        Where they learn, all ranks must hold the same number of items and call it together.
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


CHUNK = 4096
"""Items whose cosines with all centroids are held at once."""


@torch.no_grad()
def spherical_kmeans(
    features: Float[Tensor, "item channel"],
    centroids: Float[Tensor, "cluster channel"],
    num_iterations: int,
) -> Float[Tensor, "cluster channel"]:
    """Lloyd's iterations on the unit sphere from given centroids (Dhillon and Modha 2001).

    Features and centroids are unit vectors; each centroid becomes the direction of its items' mean.
    An empty cluster takes half of the largest one, see `fill_empty`; where there are fewer items
    than clusters, its centroid stays.
    """
    num_clusters = len(centroids)
    for _ in range(num_iterations):
        assignment = nearest(features, centroids)
        fill_empty(features, assignment, num_clusters)
        sums = _sums(features, assignment, num_clusters)
        found = torch.bincount(assignment, minlength=num_clusters) > 0
        centroids = torch.where(found.unsqueeze(1), F.normalize(sums, dim=1), centroids)
    return centroids


def nearest(
    features: Float[Tensor, "item channel"], centroids: Float[Tensor, "cluster channel"]
) -> Int64[Tensor, " item"]:
    """The centroid of the largest cosine with each unit vector."""
    with torch.autocast(features.device.type, enabled=False):
        return torch.cat([(part @ centroids.T).argmax(1) for part in torch.split(features, CHUNK)])


def _sums(features: Tensor, assignment: Tensor, num_clusters: int) -> Tensor:
    """Each cluster's sum, as a product: adding by index is not deterministic on every device."""
    clusters = torch.arange(num_clusters, device=features.device)
    total = features.new_zeros(num_clusters, features.shape[1])
    for part, groups in zip(
        torch.split(features, CHUNK), torch.split(assignment, CHUNK), strict=True
    ):
        total += (clusters.unsqueeze(1) == groups).to(part.dtype) @ part
    return total


def fill_empty(
    features: Float[Tensor, "item channel"], assignment: Int64[Tensor, " item"], num_clusters: int
) -> None:
    """Change the assignment in place: each empty cluster takes half of the largest one.

    The half that lies towards the member farthest from the mean, split at the median.
    """
    sizes = torch.bincount(assignment, minlength=num_clusters).tolist()
    for empty in [cluster for cluster, size in enumerate(sizes) if size == 0]:
        largest = max(range(num_clusters), key=sizes.__getitem__)
        if sizes[largest] < 2:
            return
        members = (assignment == largest).nonzero().flatten()
        offsets = features[members] - features[members].mean(0)
        farthest = offsets[offsets.square().sum(1).argmax()]
        order = (offsets @ farthest).argsort(descending=True, stable=True)
        taken = members[order[: len(members) // 2]]
        assignment[taken] = empty
        sizes[empty] = len(taken)
        sizes[largest] -= len(taken)
