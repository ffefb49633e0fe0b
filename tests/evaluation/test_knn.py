import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightly.utils.benchmarking import knn_predict

from trivium.evaluation.knn import KNNProbe, _nearest

from .conftest import blobs, words


def brute_force(train, labels, queries, k, temperature):
    train = train / np.linalg.norm(train, axis=1, keepdims=True)
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    shares = []
    for row in queries.astype(np.float64) @ train.T.astype(np.float64):
        nearest = np.argsort(-row, kind="stable")[:k]
        votes = np.bincount(labels[nearest], np.exp(row[nearest] / temperature), labels.max() + 1)
        shares.append(votes / votes.sum())
    return np.array(shares)


@pytest.mark.parametrize("k", [1, 7, 60])
def test_votes_are_those_of_brute_force_and_of_lightly(k):
    features, labels = blobs(460, 8, 4, spread=0.5)
    probe = KNNProbe([k]).fit(features[:400], labels[:400])
    shares = probe.predict_proba(features[400:])
    truth = brute_force(features[:400], labels[:400], features[400:], k, 0.07)
    np.testing.assert_allclose(shares, truth, atol=1e-4)
    normalised = torch.nn.functional.normalize(torch.from_numpy(features), dim=1)
    ranked = knn_predict(
        normalised[400:], normalised[:400].T, torch.from_numpy(labels[:400]), 4, k, 0.07
    )
    np.testing.assert_array_equal(probe.predict(features[400:]), ranked[:, 0].numpy())


@settings(max_examples=25, deadline=None)
@given(num_items=st.integers(20, 3000), k=st.integers(1, 20), seed=st.integers(0, 99))
def test_grouped_search_finds_the_largest(num_items, k, seed):
    similarity = torch.randn(3, num_items, generator=torch.Generator().manual_seed(seed))
    values, index = _nearest(similarity, k)
    torch.testing.assert_close(values, similarity.topk(k).values)
    torch.testing.assert_close(similarity.gather(1, index), values)


def test_validation_chooses_k_and_its_items_become_neighbours():
    features, labels = blobs(600, 8, 4, spread=0.4)
    train, held_out = slice(0, 500), slice(500, 600)
    probe = KNNProbe((1, 5, 20, 2000)).fit(
        features[train], labels[train], validation=(features[held_out], labels[held_out])
    )
    probes = [KNNProbe([k]).fit(features[train], labels[train]) for k in (1, 5, 20)]
    accuracies = [np.mean(one.predict(features[held_out]) == labels[held_out]) for one in probes]
    assert probe.neighbours_ == (1, 5, 20)
    np.testing.assert_allclose(probe.validation_scores_, accuracies)
    assert probe.k_ == (1, 5, 20)[int(np.argmax(accuracies))]
    own = brute_force(features, labels, features[held_out], probe.k_, 0.07)
    np.testing.assert_allclose(probe.predict_proba(features[held_out]), own, atol=1e-4)


def test_sparse_features_give_what_dense_ones_give():
    features, labels = words(700, 50, 4)
    train, held_out, test = slice(0, 500), slice(500, 600), slice(600, 700)
    rows, dense = (
        KNNProbe((1, 5, 20)).fit(
            each[train], labels[train], validation=(each[held_out], labels[held_out])
        )
        for each in (features, features.toarray())
    )
    assert rows.k_ == dense.k_ > 1
    np.testing.assert_allclose(rows.validation_scores_, dense.validation_scores_, atol=0.021)
    ours, theirs = rows.predict_proba(features[test]), dense.predict_proba(features[test].toarray())
    assert np.mean(np.abs(ours - theirs).max(1) < 1e-3) > 0.9  # the others: ties at the k-th place


def test_label_names_are_kept():
    features, labels = blobs(90, 4, 3, spread=8.0)
    probe = KNNProbe([3]).fit(features, labels * 10 + 7)
    np.testing.assert_array_equal(probe.predict(features), labels * 10 + 7)


def test_errors_say_what_is_wrong():
    features, labels = blobs(30, 4, 3)
    with pytest.raises(ValueError, match=r"no k of \(200,\) fits 30 training items"):
        KNNProbe([200]).fit(features, labels)
    with pytest.raises(ValueError, match="positive and ascending"):
        KNNProbe([0, 1])
    with pytest.raises(ValueError, match="temperature must be positive"):
        KNNProbe(temperature=0.0)
    with pytest.raises(ValueError, match="not empty"):
        KNNProbe().fit(features[:0], labels[:0])
