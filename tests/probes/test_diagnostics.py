import numpy as np
import pytest

from trivium.probes.diagnostics import rankme


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
