"""The linear probe against scikit-learn, and what follows from its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.special import log_softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from trivium.evaluation.linear import VALUES_OF_C, Basis, ConvergenceWarning, LinearProbe

from .conftest import blobs, words


def reference(features, labels, value):
    # Newton's method with a direct solve of the Hessian: exact where first-order methods stall.
    newton = LogisticRegression(C=value, solver="newton-cholesky", tol=1e-10, max_iter=500)
    return newton.fit(features.toarray() if sparse.issparse(features) else features, labels)


def objective(features, labels, weights, intercept, value):
    logs = log_softmax(features @ weights.T + intercept, axis=1)
    loss = -logs[np.arange(len(labels)), labels].sum()
    return value * loss + 0.5 * np.square(weights).sum()


def imbalanced():
    features, labels = blobs(900, 6, 3)
    kept = np.flatnonzero((labels < 2) | (np.arange(900) < 9))
    return features[kept], labels[kept]


def constant_channel():
    features, labels = blobs(300, 5, 3)
    return np.concatenate([features, np.full((300, 2), 1e4, np.float32)], 1), labels


def digits():
    features, labels = load_digits(return_X_y=True)
    return features.astype(np.float32)[:600], labels[:600]


FEWER = (1e-3, 1e-1, 1e1)
CASES = {
    "overlapping": (blobs(1500, 12, 4, spread=0.5), VALUES_OF_C),
    "separable": (blobs(120, 20, 3, spread=8.0), VALUES_OF_C),
    "few items": (blobs(30, 200, 3), VALUES_OF_C),
    "more channels than items": (blobs(40, 60, 3), VALUES_OF_C),
    "many channels": (blobs(500, 230, 3, spread=0.3), FEWER),
    "single precision": (blobs(24_000, 20, 4, spread=0.6), FEWER),
    "imbalanced": (imbalanced(), VALUES_OF_C),
    "constant channel": (constant_channel(), FEWER),
    "digits": (digits(), FEWER),
    "sparse": (words(400, 60, 4), VALUES_OF_C),
    "wide and sparse": (words(150, 400, 3), FEWER),
}


@pytest.mark.parametrize("case", CASES)
def test_the_objective_of_scikit_learn_is_reached(case):
    (features, labels), values = CASES[case]
    probe = LinearProbe(values).fit(features, labels)
    assert probe.converged_
    standard = features
    if isinstance(features, np.ndarray):
        standard = (features.astype(np.float64) - probe.mean_) / probe.scale_
    for value, ours in zip(values, probe.objective_, strict=True):
        truth = reference(standard, labels, value)
        best = objective(standard, labels, truth.coef_, truth.intercept_, value)
        assert ours <= best * (1 + 1e-6)
        assert ours >= best * (1 - 1e-6)
    found = objective(standard, labels, probe.coef_, probe.intercept_, values[-1])
    assert found == pytest.approx(probe.objective_[-1], rel=1e-6)


@pytest.mark.parametrize("case", ["overlapping", "imbalanced", "sparse"])
def test_weights_are_those_of_scikit_learn(case):
    (features, labels), _ = CASES[case]
    probe = LinearProbe([0.1], tolerance=1e-12).fit(features, labels)
    standard = features
    if isinstance(features, np.ndarray):
        standard = (features.astype(np.float64) - probe.mean_) / probe.scale_
    truth = reference(standard, labels, 0.1)
    np.testing.assert_allclose(probe.coef_, truth.coef_, atol=1e-4)
    dense = standard.toarray() if sparse.issparse(standard) else standard
    np.testing.assert_allclose(probe.predict_proba(features), truth.predict_proba(dense), atol=1e-4)
    np.testing.assert_array_equal(probe.predict(features), truth.predict(dense))


def test_without_information_the_probabilities_are_the_frequencies():
    labels = np.repeat([0, 1, 2], [10, 30, 60])
    probe = LinearProbe([1.0], tolerance=1e-12).fit(np.ones((100, 4), np.float32), labels)
    assert probe.objective_[0] == pytest.approx(
        -100 * sum(share * np.log(share) for share in (0.1, 0.3, 0.6))
    )
    np.testing.assert_allclose(probe.predict_proba(np.ones((1, 4)))[0], [0.1, 0.3, 0.6], rtol=1e-4)
    assert (probe.coef_ == 0).all()


def test_two_classes_on_one_channel_in_closed_form():
    # Features are +1 and -1 after scaling, so the loss is log1p(exp(-2 w)) of one weight w.
    features, labels = np.array([[3.0], [7.0]] * 20, np.float32), np.array([0, 1] * 20)
    probe = LinearProbe([0.5], tolerance=1e-12).fit(features, labels)
    weight = probe.coef_[1, 0]
    slope = -0.5 * 40 * 2 / (1 + np.exp(2 * weight)) + 2 * weight
    assert slope == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(probe.coef_[0], -probe.coef_[1])
    np.testing.assert_allclose(probe.intercept_, 0, atol=1e-6)


@pytest.mark.parametrize("case", ["dense", "sparse"])
def test_validation_chooses_and_the_second_fit_uses_both_sets(case):
    features, labels = blobs(900, 10, 3, spread=0.4) if case == "dense" else words(900, 40, 3)
    probe = LinearProbe().fit(
        features[:600], labels[:600], validation=(features[600:], labels[600:])
    )
    train, held_out = features[:600], features[600:]
    if case == "dense":
        mean, scale = train.mean(0, dtype=np.float64), train.std(0, dtype=np.float64)
        train, held_out = (train - mean) / scale, (held_out - mean) / scale
    tried = np.isfinite(probe.validation_scores_)
    scores, accuracies = [], []
    for value in np.array(VALUES_OF_C)[tried]:
        truth = reference(train, labels[:600], value)
        logs = truth.decision_function(held_out.toarray() if case == "sparse" else held_out)
        scores.append(-log_softmax(logs, 1)[np.arange(300), labels[600:]].mean())
        accuracies.append(np.mean(logs.argmax(1) == labels[600:]))
    best = int(np.argmin(scores))
    assert VALUES_OF_C[best] == probe.C_
    np.testing.assert_allclose(probe.validation_scores_[tried], scores, rtol=5e-3)
    assert probe.validation_scores_[best] == pytest.approx(scores[best], rel=2e-4)
    assert probe.validation_accuracy_[best] == accuracies[best]
    again = LinearProbe([probe.C_]).fit(features, labels)
    np.testing.assert_array_equal(probe.mean_, again.mean_)
    np.testing.assert_allclose(
        probe.predict_proba(features), again.predict_proba(features), atol=1e-3
    )


def test_larger_values_are_not_tried_once_they_overfit():
    features, labels = blobs(60, 40, 3, spread=2.0)
    held_out = blobs(300, 40, 3, spread=2.0, seed=1)
    probe = LinearProbe().fit(features, labels, validation=held_out)
    scores = probe.validation_scores_
    tried = np.isfinite(scores)
    last = int(np.flatnonzero(tried)[-1])
    assert tried[: last + 1].all()
    assert not tried.all()
    assert scores[last] > 1.1 * scores.min()
    assert (scores[:last] <= 1.1 * np.minimum.accumulate(scores[:last])).all()
    np.testing.assert_array_equal(np.isnan(probe.validation_accuracy_), ~tried)
    np.testing.assert_array_equal(np.isinf(probe.objective_), ~tried)
    alone = LinearProbe([probe.C_]).fit(features, labels, validation=held_out)
    np.testing.assert_allclose(
        probe.predict_proba(features), alone.predict_proba(features), atol=1e-3
    )


def test_a_tie_goes_to_the_smaller_value():
    features, labels = np.ones((40, 3), np.float32), np.arange(40) % 2
    probe = LinearProbe([0.5, 5.0]).fit(features, labels, validation=(features, labels))
    np.testing.assert_allclose(probe.validation_scores_, np.log(2))
    assert probe.C_ == 0.5


def test_standardised_sparse_features_are_solved_as_dense_ones():
    rng, labels = np.random.default_rng(0), np.arange(900) % 3
    features = rng.normal(size=(900, 10)) + rng.normal(size=(3, 10))[labels] / 2
    features = (features - features.mean(0)) / features.std(0)
    dense, other = (
        LinearProbe(FEWER, tolerance=1e-10).fit(each, labels)
        for each in (features, sparse.csr_array(features))
    )
    np.testing.assert_allclose(other.objective_, dense.objective_, rtol=1e-8)
    np.testing.assert_allclose(other.coef_, dense.coef_, atol=1e-4)


def test_words_that_no_training_text_holds_weigh_nothing():
    features, labels = words(300, 40, 3)
    wider = sparse.hstack([features, sparse.csr_array((300, 5))], format="csr")
    plain, padded = (
        LinearProbe([1.0], tolerance=1e-10).fit(each, labels) for each in (features, wider)
    )
    np.testing.assert_allclose(padded.coef_[:, :40], plain.coef_, atol=1e-6)
    assert (padded.coef_[:, 40:] == 0).all()


@pytest.mark.parametrize("width", [7, 130, 230])
def test_a_basis_leads_there_and_back(width):
    features, _ = blobs(300, width, 3)
    features[:, 2] = 5.0
    basis = Basis.of(features)
    weights = np.random.default_rng(0).normal(size=(3, width + 1))
    weights[:, 2] = 0
    np.testing.assert_allclose(basis.weights(basis.point(weights)), weights, rtol=1e-4, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(
    num_items=st.integers(6, 80),
    width=st.integers(1, 12),
    num_classes=st.integers(2, 5),
    seed=st.integers(0, 1000),
    kind=st.sampled_from([blobs, words]),
)
def test_any_shape_and_naming_of_the_classes(num_items, width, num_classes, seed, kind):
    features, labels = kind(num_items, width, num_classes, seed=seed)
    names = np.random.default_rng(seed).permutation(100)[:num_classes]
    probe, renamed = (
        LinearProbe([1e-2, 1.0]).fit(features, each) for each in (labels, names[labels])
    )
    assert probe.converged_
    assert probe.coef_.shape == (num_classes, width)
    shares = probe.predict_proba(features)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
    order = np.argsort(names)
    np.testing.assert_allclose(renamed.predict_proba(features), shares[:, order], atol=2e-3)
    assert set(renamed.predict(features)) <= set(names)


@pytest.mark.parametrize("case", ["overlapping", "sparse"])
def test_fits_repeat_bit_by_bit(case):
    (features, labels), _ = CASES[case]
    first, second = (LinearProbe([0.1, 10.0]).fit(features, labels) for _ in range(2))
    np.testing.assert_array_equal(first.coef_, second.coef_)


def test_stopping_early_is_said_loudly():
    with pytest.warns(ConvergenceWarning, match="raise max_iterations above 2"):
        probe = LinearProbe(max_iterations=2).fit(*CASES["overlapping"][0])
    assert not probe.converged_


def test_errors_say_what_is_wrong():
    features, labels = blobs(30, 4, 3)
    broken = features.copy()
    broken[7, 1] = np.nan
    for each in (broken, sparse.csr_array(broken)):
        with pytest.raises(ValueError, match=r"1 of 30 feature rows hold NaN or infinity.*row 7"):
            LinearProbe().fit(each, labels)
    with pytest.raises(ValueError, match="one label per item"):
        LinearProbe().fit(features, labels[:-1])
    with pytest.raises(ValueError, match="at least two classes"):
        LinearProbe().fit(features, labels * 0)
    known = labels < 2
    with pytest.raises(ValueError, match=r"labels \[2\] have no training item"):
        LinearProbe([1.0]).fit(features[known], labels[known], validation=(features, labels))
    with pytest.raises(ValueError, match="fitted on 4 channels"):
        LinearProbe([1.0]).fit(features, labels).predict(features[:, :3])
    with pytest.raises(ValueError, match="positive and ascending"):
        LinearProbe([1.0, 0.1])
