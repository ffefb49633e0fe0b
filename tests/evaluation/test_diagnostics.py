from itertools import combinations

import numpy as np
import pytest

from trivium.evaluation.representation import alignment, alpha_req, lidar, rankme, uniformity


def test_equal_singular_values_count_the_channels():
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(200, 12)))[0]
    assert rankme(basis) == pytest.approx(12, rel=1e-4)


def test_collapsed_features_have_rank_one():
    assert rankme(np.outer(np.arange(1.0, 50), np.ones(16))) == pytest.approx(1, abs=1e-3)


def test_it_is_the_entropy_of_the_singular_values():
    features = np.random.default_rng(1).normal(size=(9, 30))
    shares = np.linalg.svd(features, compute_uv=False)
    shares = shares / shares.sum() + 1e-7
    assert rankme(features) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-6)


def test_features_that_are_zero_are_an_error():
    with pytest.raises(ValueError, match="collapsed"):
        rankme(np.zeros((5, 3)))


@pytest.mark.parametrize("alpha", [0.6, 1.0, 2.5])
def test_alpha_of_a_power_law(alpha):
    rng = np.random.default_rng(2)
    basis = np.linalg.qr(rng.normal(size=(300, 60)) - 0)[0]
    basis = np.linalg.qr(basis - basis.mean(0))[0]  # orthogonal and centred
    turn = np.linalg.qr(rng.normal(size=(60, 60)))[0]
    spectrum = np.arange(1, 61.0) ** (-alpha)
    spectrum[:3] *= 50  # the largest do not count
    features = basis * np.sqrt(spectrum) @ turn + 3
    assert alpha_req(features) == pytest.approx(alpha, rel=1e-6)


def test_alpha_of_too_few_directions_is_unknown():
    assert alpha_req(np.random.default_rng(0).normal(size=(100, 15))) is None
    assert alpha_req(np.random.default_rng(0).normal(size=(100, 16))) is not None


def test_alignment_is_the_mean_squared_distance_of_pairs():
    views = np.random.default_rng(3).normal(size=(9, 4, 5))
    unit = views / np.linalg.norm(views, axis=2, keepdims=True)
    pairs = [np.square(unit[:, i] - unit[:, j]).sum(1).mean() for i, j in combinations(range(4), 2)]
    assert alignment(views) == pytest.approx(np.mean(pairs))
    assert alignment(np.repeat(views[:, :1], 3, 1) * [[[1], [2], [7]]]) == pytest.approx(0)
    assert alignment(np.stack([views[:, 0], -views[:, 0]], 1)) == pytest.approx(4)


def test_uniformity_in_closed_form():
    corners = np.array([[1.0, 0], [-2.0, 0]])  # one pair at distance 2
    assert uniformity(corners) == pytest.approx(-8)
    assert uniformity(np.ones((5, 3))) == pytest.approx(0)
    features = np.random.default_rng(4).normal(size=(2000, 3))
    # On a sphere of three dimensions the inner product of two points is uniform in [-1, 1].
    expected = np.log((1 - np.exp(-8)) / 8)
    assert uniformity(features) == pytest.approx(expected, abs=0.01)


def test_lidar_counts_directions_that_tell_items_apart():
    rng = np.random.default_rng(5)
    items = rng.normal(size=(4000, 1, 6)) * [10, 10, 10, 0, 0, 0]
    views = items + rng.normal(size=(4000, 8, 6)) * [1, 1, 1, 10, 10, 10]
    assert lidar(views) == pytest.approx(3, abs=0.1)
    assert rankme(views[:, 0]) > 5.5  # which takes the noise for content


def test_lidar_by_its_equations():
    rng = np.random.default_rng(6)
    views = rng.normal(size=(40, 5, 7)) + rng.normal(size=(40, 1, 7)) * np.arange(1, 8)
    means = views.mean(1)
    between = np.cov(means.T, bias=True)
    within = sum(np.cov(one.T) for one in views) / len(views)
    within += 1e-4 * np.trace(within) / 7 * np.eye(7)
    values, vectors = np.linalg.eigh(within)
    root = vectors / np.sqrt(values) @ vectors.T
    eigenvalues = np.linalg.eigvalsh(root @ between @ root)
    shares = eigenvalues / eigenvalues.sum() + 1e-7
    assert lidar(views) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-6)
    assert lidar(views * 1e3) == pytest.approx(lidar(views), rel=1e-6)


def test_views_that_are_all_equal_leave_a_rank():
    items = np.random.default_rng(7).normal(size=(500, 1, 4))
    assert lidar(np.repeat(items, 3, 1)) == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("measure", [alignment, lidar])
def test_one_view_alone_is_refused(measure):
    with pytest.raises(ValueError, match="two views of each item or more, got shape"):
        measure(np.ones((5, 1, 3)))


def test_items_that_are_all_the_same_have_no_lidar():
    with pytest.raises(ValueError, match="collapsed"):
        lidar(np.ones((5, 2, 3)))
