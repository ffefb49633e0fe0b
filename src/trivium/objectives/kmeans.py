"""Spherical k-means that keeps the identities of its clusters."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

CHUNK = 4096
"""Items whose cosines with all centroids are held at once."""


@torch.no_grad()
def spherical_kmeans(
    features: Float[Tensor, "item channel"],
    centroids: Float[Tensor, "cluster channel"],
    num_iterations: int,
) -> Float[Tensor, "cluster channel"]:
    """Lloyd's iterations on the unit sphere from given centroids (Dhillon and Modha 2001).

    Each iteration gives every item to the centroid of the largest cosine, then replaces each
    centroid by the direction of its items' mean. So cluster k stays what grew out of centroid k,
    and the result depends on the arguments alone. An empty cluster takes half of the largest one,
    see `fill_empty`; where there are fewer items than clusters, its centroid stays.

    Args:
        features: Unit vectors.
        centroids: Unit vectors to start from.
        num_iterations: Lloyd's iterations.
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

    The half that lies towards the member farthest from the mean, split at the median; so no
    cluster of several items is left while another is empty, and nothing is random.
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
