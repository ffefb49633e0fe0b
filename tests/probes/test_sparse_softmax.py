import numpy as np
import torch
from scipy import sparse

from trivium.probes.softmax import SoftmaxRegression
from trivium.probes.sparse_softmax import SparseSoftmaxRegression

from .conftest import words


def both():
    features, labels = words(200, 12, 4)
    ridge = np.random.default_rng(1).random(12)
    targets = torch.from_numpy(labels)
    dense = SoftmaxRegression(
        torch.from_numpy(features.toarray()), targets, torch.from_numpy(ridge)[None], 4
    )
    points = torch.randn(1, 4, 12, dtype=torch.float64)
    points = (points - points.mean(1, keepdim=True)).flatten(1)
    return SparseSoftmaxRegression(features, targets, ridge, 4), dense, points


def test_values_and_gradients_are_those_of_dense_features():
    ours, dense, points = both()
    for found, expected in zip(
        ours(points, torch.tensor([0])), dense(points, torch.tensor([0])), strict=True
    ):
        torch.testing.assert_close(found, expected)


def test_the_metric_is_that_of_dense_features():
    ours, dense, points = both()
    vectors = torch.randn(1, 2, 48, dtype=torch.float64)
    found, expected = (each.metric(points, torch.tensor([0])) for each in (ours, dense))
    torch.testing.assert_close(found.apply(vectors), expected.apply(vectors))


def test_features_are_not_changed():
    ours, _, points = both()
    before = ours.features.copy()
    ours(points, torch.tensor([0]))
    assert sparse.linalg.norm(ours.features - before) == 0
