"""Spherical k-means against scikit-learn 1.9 (`KMeans` on well separated directions)."""

import pytest
import torch
from sklearn.cluster import KMeans
from torch.nn import functional as F

from trivium.objectives import codebook
from trivium.objectives.codebook import fill_empty, nearest, spherical_kmeans


@pytest.fixture
def separated():
    """Sixty unit vectors around each of five directions."""
    directions = torch.linalg.qr(torch.randn(16, 16))[0][:5]
    return F.normalize(directions.repeat_interleave(60, 0) + 0.1 * torch.randn(300, 16), dim=1)


def random_directions(num, width=16):
    return F.normalize(torch.randn(num, width), dim=1)


def test_finds_the_clusters_that_scikit_learn_finds(separated):
    centroids = spherical_kmeans(separated, separated[[250, 190, 10, 70, 130]], 20)
    assignment = nearest(separated, centroids)
    theirs = KMeans(5, n_init=5, random_state=0).fit(separated.numpy())
    pairs = set(zip(assignment.tolist(), theirs.labels_.tolist(), strict=True))
    assert len(pairs) == 5
    expected = F.normalize(torch.as_tensor(theirs.cluster_centers_), dim=1)
    order = torch.tensor([label for _, label in sorted(pairs)])
    torch.testing.assert_close(centroids, expected[order], atol=1e-5, rtol=0)


def test_iterations_never_lower_the_mean_cosine():
    features, centroids = random_directions(200), random_directions(6)
    found = []
    for _ in range(8):
        centroids = spherical_kmeans(features, centroids, 1)
        found.append((features @ centroids.T).amax(1).mean())
    assert torch.stack(found).diff().min() > -1e-6
    assert found[-1] > found[0]


def test_clusters_keep_their_identity_from_a_warm_start(separated):
    centroids = spherical_kmeans(separated, separated[::60], 20)
    order = torch.randperm(5)
    moved = F.normalize(centroids[order] + 0.05 * torch.randn(5, 16), dim=1)
    torch.testing.assert_close(spherical_kmeans(separated, moved, 5), centroids[order])


@pytest.mark.parametrize("num_clusters", [2, 7, 30])
def test_no_cluster_stays_empty(num_clusters):
    features = F.normalize(torch.ones(16) + 0.1 * torch.randn(90, 16), dim=1)
    centroids = random_directions(num_clusters)
    assert nearest(features, centroids).unique().numel() < num_clusters
    found = spherical_kmeans(features, centroids, 1)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(num_clusters))
    assert nearest(features, found).unique().numel() > 0.8 * num_clusters


def test_an_empty_cluster_takes_the_far_half_of_the_largest():
    angles = torch.tensor([0.0, 0.1, 0.8, 0.9, 2.0, 2.1])
    features = torch.stack([angles.cos(), angles.sin()], 1)
    assignment = torch.tensor([0, 0, 0, 0, 1, 1])
    fill_empty(features, assignment, 3)
    assert assignment.tolist() in ([0, 0, 2, 2, 1, 1], [2, 2, 0, 0, 1, 1])


def test_fewer_items_than_clusters_leave_the_other_centroids_as_they_are():
    features, centroids = torch.eye(4)[:2], random_directions(5, 4)
    found = spherical_kmeans(features, centroids, 3)
    assert sum(torch.equal(old, new) for old, new in zip(centroids, found, strict=True)) == 3
    assert nearest(features, found).unique().numel() == 2
    torch.testing.assert_close((features @ found.T).amax(1), torch.ones(2))


def test_chunks_do_not_change_the_outcome(separated, monkeypatch):
    whole = spherical_kmeans(separated, separated[::60], 3)
    monkeypatch.setattr(codebook, "CHUNK", 70)
    torch.testing.assert_close(spherical_kmeans(separated, separated[::60], 3), whole)


def test_it_is_deterministic_and_leaves_its_arguments_alone():
    features, centroids = random_directions(50), random_directions(8)
    before, state = centroids.clone(), torch.get_rng_state()
    first = spherical_kmeans(features, centroids, 4)
    assert torch.equal(spherical_kmeans(features, centroids, 4), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(centroids, before)
