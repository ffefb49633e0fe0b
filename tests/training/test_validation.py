"""The accuracy by which trials are compared, against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from trivium.features import embed
from trivium.objectives.control.untrained import Untrained
from trivium.training.validation import VALUES_OF_C, selection_accuracy


@pytest.fixture
def encoder(make_objective):
    return make_objective(Untrained).encoder


def test_c_is_that_of_the_lowest_validation_cross_entropy(store, encoder):
    labels = store.labels("shape")
    train, validation = (store.split(one) for one in ("train", "validation"))
    features = embed(encoder, store).astype(np.float64)
    features = (features - features[train].mean(0)) / features[train].std(0)
    tried = []
    for value in VALUES_OF_C:
        probe = LogisticRegression(C=value, tol=1e-8, max_iter=5000)
        probe.fit(features[train], labels[train])
        entropy = log_loss(labels[validation], probe.predict_proba(features[validation]))
        tried.append((entropy, probe.score(features[validation], labels[validation])))
    assert len({accuracy for _, accuracy in tried}) > 1
    assert selection_accuracy(encoder, store, "shape") == pytest.approx(min(tried)[1])


def test_an_item_of_a_class_that_was_not_learnt_is_wrong(store, encoder, monkeypatch):
    labels, validation = store.labels("shape").copy(), store.split("validation")
    labels[validation[::2]] = labels.max() + 1
    monkeypatch.setattr(type(store), "labels", lambda *_: labels)
    assert 0 < selection_accuracy(encoder, store, "shape") <= 0.5
    assert selection_accuracy(encoder, store, None) is None
