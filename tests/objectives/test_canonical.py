"""Against closed forms and a brute-force search."""

import numpy as np
import pytest
from scipy.optimize import minimize

from trivium.objectives.control.cca import correlate


def correlations(first, second):
    return np.array([np.corrcoef(*pair)[0, 1] for pair in zip(first.T, second.T, strict=True)])


def known(generator, num_items, truth, width):
    """Two sets of features, mixed at random, whose sample correlations are exactly `truth`."""
    white = np.linalg.qr(generator.normal(size=(num_items, 2 * width)))[0]
    white = np.linalg.qr(white - white.mean(0))[0] * np.sqrt(num_items)
    first, rest = white[:, :width], white[:, width:]
    second = first * truth + rest * np.sqrt(1 - truth**2)
    mixing = generator.normal(size=(2, width, width))
    return first @ mixing[0] + 3, second @ mixing[1] - 1


def test_known_correlations_are_found():
    truth = np.array([0.9, 0.6, 0.3, 0.0])
    sets = known(np.random.default_rng(0), 500, truth, 4)
    directions = correlate(list(sets), 3, 0.0)
    scores = [rows @ found for rows, found in zip(sets, directions, strict=True)]
    np.testing.assert_allclose(correlations(*scores), truth[:3], atol=1e-9)


@pytest.mark.parametrize("ridge", [0.1, 2.0])
def test_ridges_are_in_mean_variances(ridge):
    """Against the singular values of the covariance between sets whitened with their ridges."""
    first, second = known(np.random.default_rng(1), 400, np.array([0.9, 0.5, 0.1]), 3)
    found = correlate([first, second], 2, ridge)
    across = (first - first.mean(0)).T @ (second - second.mean(0)) / 400
    roots = []
    for rows in (first, second):
        own = np.cov(rows.T, bias=True)
        own += ridge * np.diag(own).mean() * np.eye(3)
        values, vectors = np.linalg.eigh(own)
        roots.append(vectors / np.sqrt(values) @ vectors.T)
    left, singular, right = np.linalg.svd(roots[0] @ across @ roots[1])
    reached = np.diag(found[0].T @ across @ found[1])
    np.testing.assert_allclose(reached, singular[:2], atol=1e-9)
    for mine, theirs in zip(found, (roots[0] @ left, roots[1] @ right.T), strict=True):
        np.testing.assert_allclose(np.abs(mine), np.abs(theirs[:, :2]), atol=1e-9)


def test_three_sets_reach_the_largest_eigenvalue_of_their_correlations():
    """Kettenring's MAXVAR, by a search over the directions."""
    generator = np.random.default_rng(2)
    shared = generator.normal(size=(200, 1))
    sets = [generator.normal(size=(200, 3)) + shared * weight for weight in (1.0, 0.7, 0.5)]
    sets = [rows @ generator.normal(size=(3, 3)) for rows in sets]

    def largest(flat):
        scores = [rows @ some for rows, some in zip(sets, flat.reshape(3, 3), strict=True)]
        return np.linalg.eigvalsh(np.corrcoef(scores))[-1]

    found = np.concatenate([one[:, 0] for one in correlate(sets, 1, 0.0)])
    tries = [minimize(lambda x: -largest(x), generator.normal(size=9)) for _ in range(3)]
    assert largest(found) == pytest.approx(-min(one.fun for one in tries), abs=1e-5)


def test_two_of_three_equal_sets_change_nothing():
    """What a copy shares with its original is 1, whatever the third says."""
    first, second = known(np.random.default_rng(4), 300, np.array([0.8, 0.2]), 2)
    one, copy, _ = correlate([first, first.copy(), second], 2, 0.0)
    np.testing.assert_allclose(one, copy, atol=1e-9)
    pair = correlate([first, second], 2, 0.0)[0]
    assert np.abs(correlations(first @ one, first @ pair)).min() > 1 - 1e-9


def test_singular_features_need_a_ridge():
    first = np.random.default_rng(0).normal(size=(50, 3))
    first[:, 2] = 0
    with pytest.raises(ValueError, match="regularisation"):
        correlate([first, first[:, :2]], 1, 0.0)
    correlate([first, first[:, :2]], 1, 0.01)


def test_signs_are_fixed():
    sets = known(np.random.default_rng(5), 100, np.array([0.9, 0.4]), 2)
    for turned in (sets, [-rows for rows in sets]):
        found = np.concatenate(correlate(turned, 2, 0.1))
        assert (np.take_along_axis(found, np.abs(found).argmax(0)[None], 0) > 0).all()
