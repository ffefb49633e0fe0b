import numpy as np
import torch
from scipy import sparse

from trivium.evaluation.checks import stacked
from trivium.evaluation.knn import CHUNK, directions, similarities

from .conftest import words


def test_sparse_similarities_are_those_of_dense_features():
    features, _ = words(CHUNK + 90, 30, 3)
    features[5:6] *= 1000
    queries, items = features[: CHUNK + 10], features[CHUNK + 10 :]
    rows = [directions(each) for each in (queries, items)]
    dense = [directions(each.toarray()) for each in (queries, items)]
    for found, expected in zip(similarities(*rows), similarities(*dense), strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(stacked(*rows).toarray(), stacked(*dense), atol=1e-6)


def test_a_text_without_known_words_is_near_to_nothing():
    empty = directions(sparse.csr_array((2, 4)))
    items = directions(sparse.csr_array(np.eye(4)))
    (found,) = similarities(empty, items)
    assert not found.any()
