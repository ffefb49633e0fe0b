"""CKA against its definition, and what it must not notice."""

from itertools import permutations

import numpy as np
import pytest

from trivium.evaluation.representation import linear_cka

RNG = np.random.default_rng(0)


def hsic(first, second):
    """The unbiased estimate by its definition: a mean over all quadruples of different items."""
    first, second = first @ first.T, second @ second.T
    terms = [
        first[i, j] * (second[i, j] + second[p, q] - 2 * second[i, p])
        for i, j, p, q in permutations(range(len(first)), 4)
    ]
    return np.mean(terms)


def test_it_is_the_unbiased_estimate_of_its_definition():
    first, second = RNG.normal(size=(7, 3)), RNG.normal(size=(7, 5))
    second[:, :2] += first[:, :2]
    expected = hsic(first, second) / np.sqrt(hsic(first, first) * hsic(second, second))
    assert linear_cka(first, second) == pytest.approx(expected)


def test_rotations_scales_and_shifts_do_not_matter():
    features = RNG.normal(size=(60, 8))
    turn = np.linalg.qr(RNG.normal(size=(8, 8)))[0]
    assert linear_cka(features, 3 * features @ turn + 7) == pytest.approx(1)


def test_unrelated_wide_features_are_not_alike():
    values = [
        linear_cka(RNG.normal(size=(100, 400)), RNG.normal(size=(100, 300))) for _ in range(20)
    ]
    assert abs(np.mean(values)) < 0.05  # the biased estimate would be at 0.8


def test_half_of_the_variance_shared():
    shared, own = RNG.normal(size=(3000, 10)), RNG.normal(size=(3000, 10))
    mixed = np.concatenate([shared, own], 1)
    # The products of channels: 10 shared ones over the root of 10 times 20.
    assert linear_cka(shared, mixed) == pytest.approx(10 / np.sqrt(10 * 20), abs=0.03)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.ones((3, 2)), np.ones((3, 2)), "four at least"),
        (RNG.normal(size=(5, 2)), RNG.normal(size=(6, 2)), "got 5 and 6"),
        (RNG.normal(size=(5, 2)), np.ones((5, 2)), "collapsed"),
    ],
)
def test_what_cannot_be_compared_is_refused(first, second, message):
    with pytest.raises(ValueError, match=message):
        linear_cka(first, second)
