import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from trivium.probes.linear import PENALTIES, ConvergenceWarning, LinearProbe
from trivium.probes.sparse import SparseLinearProbe

from .conftest import words


def reference(features, labels, penalty):
    newton = LogisticRegression(C=penalty, solver="newton-cholesky", tol=1e-10, max_iter=500)
    return newton.fit(features.toarray(), labels)


def halves(features, labels, cut):
    return (features[:cut], labels[:cut]), (features[cut:], labels[cut:])


@pytest.mark.parametrize("penalty", [1e-3, 1.0, 1e2])
def test_weights_are_those_of_scikit_learn(penalty):
    features, labels = words(400, 60, 4)
    probe = SparseLinearProbe([penalty], tolerance=1e-12).fit(features, labels)
    truth = reference(features, labels, penalty)
    np.testing.assert_allclose(probe.coef_, truth.coef_, atol=1e-3 * abs(truth.coef_).max())
    np.testing.assert_allclose(
        probe.predict_proba(features), truth.predict_proba(features.toarray()), atol=1e-4
    )
    assert penalty == probe.C_
    assert probe.score(features, labels) == truth.score(features.toarray(), labels)


def test_on_standardised_features_it_is_the_dense_probe():
    rng, labels = np.random.default_rng(0), np.arange(900) % 3
    features = rng.normal(size=(900, 10)) + rng.normal(size=(3, 10))[labels] / 2
    standard = (features - features[:600].mean(0)) / features[:600].std(0)
    (train, held_out), (rows, others) = (
        halves(each, labels, 600) for each in (standard, sparse.csr_array(standard))
    )
    dense = LinearProbe().fit(*train, validation=held_out)
    probe = SparseLinearProbe().fit(*rows, validation=others)
    assert probe.C_ == dense.C_
    solved = probe.contenders_
    np.testing.assert_array_equal(solved, dense.contenders_)
    assert 1 < solved.sum() < len(PENALTIES)
    np.testing.assert_allclose(
        probe.validation_scores_[solved], dense.validation_scores_[solved], rtol=1e-3
    )
    np.testing.assert_allclose(
        probe.validation_accuracy_[solved], dense.validation_accuracy_[solved], atol=0.004
    )


def test_validation_chooses_by_cross_entropy_and_the_second_fit_uses_both_sets():
    features, labels = words(900, 40, 3)
    train, held_out = halves(features, labels, 600)
    probe = SparseLinearProbe(tolerance=1e-9).fit(*train, validation=held_out)
    tried = np.isfinite(probe.validation_scores_)
    scores = []
    for penalty in np.array(PENALTIES)[tried]:
        logs = reference(*train, penalty).predict_log_proba(held_out[0].toarray())
        scores.append(-logs[np.arange(300), held_out[1]].mean())
    assert PENALTIES[int(np.argmin(scores))] == probe.C_
    solved = probe.contenders_[tried]
    np.testing.assert_array_equal(np.array(scores) <= 1.1 * min(scores), solved)
    np.testing.assert_allclose(
        probe.validation_scores_[tried][solved], np.array(scores)[solved], rtol=1e-4
    )
    truth = reference(features, labels, probe.C_)
    np.testing.assert_allclose(
        probe.predict_proba(features), truth.predict_proba(features.toarray()), atol=1e-3
    )


def test_larger_penalties_are_not_tried_once_the_best_is_passed():
    features, labels = words(900, 80, 4)
    train, held_out = halves(features, labels, 600)
    probe = SparseLinearProbe().fit(*train, validation=held_out)
    tried = np.isfinite(probe.validation_scores_)
    last = int(tried.sum()) - 1
    assert tried[: last + 1].all()
    assert not tried.all()
    assert probe.validation_scores_[last] > 1.1 * probe.validation_scores_.min()
    np.testing.assert_array_equal(np.isnan(probe.validation_accuracy_), ~tried)


def test_words_that_no_training_text_holds_weigh_nothing():
    features, labels = words(300, 40, 3)
    wider = sparse.hstack([features, sparse.csr_array((300, 5))], format="csr")
    plain, padded = (
        SparseLinearProbe([1.0], tolerance=1e-10).fit(each, labels) for each in (features, wider)
    )
    np.testing.assert_allclose(padded.coef_[:, :40], plain.coef_, atol=1e-6)
    assert (padded.coef_[:, 40:] == 0).all()
    unknown = sparse.csr_array((np.ones(1), ([0], [42])), shape=(1, 45))
    np.testing.assert_allclose(
        padded.predict_proba(unknown)[0],
        np.exp(padded.intercept_) / np.exp(padded.intercept_).sum(),
    )


@settings(max_examples=15, deadline=None)
@given(
    num_items=st.integers(8, 60),
    width=st.integers(2, 30),
    num_classes=st.integers(2, 4),
    seed=st.integers(0, 1000),
)
def test_any_shape_and_naming_of_the_classes(num_items, width, num_classes, seed):
    features, labels = words(num_items, width, num_classes, seed=seed)
    names = np.random.default_rng(seed).permutation(100)[:num_classes]
    probe, renamed = (
        SparseLinearProbe([1e-2, 1.0]).fit(features, each) for each in (labels, names[labels])
    )
    assert probe.converged_
    assert probe.coef_.shape == (num_classes, width)
    shares = probe.predict_proba(features)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(
        renamed.predict_proba(features), shares[:, np.argsort(names)], atol=5e-3
    )


def test_fits_repeat_bit_by_bit():
    train, held_out = halves(*words(300, 40, 3), 200)
    first, second = (SparseLinearProbe().fit(*train, validation=held_out) for _ in range(2))
    np.testing.assert_array_equal(first.coef_, second.coef_)


def test_stopping_early_is_said_loudly():
    with pytest.warns(ConvergenceWarning, match="raise max_iterations above 2"):
        probe = SparseLinearProbe([10.0], max_iterations=2).fit(*words(300, 40, 3))
    assert not probe.converged_


def test_errors_say_what_is_wrong():
    features, labels = words(30, 6, 3)
    broken = features.copy()
    broken.data[broken.indptr[7]] = np.nan
    with pytest.raises(ValueError, match=r"1 of 30 feature rows hold NaN or infinity.*row 7"):
        SparseLinearProbe().fit(broken, labels)
    with pytest.raises(ValueError, match="one label per item"):
        SparseLinearProbe().fit(features, labels[:-1])
    with pytest.raises(ValueError, match="fitted on 6 channels"):
        SparseLinearProbe([1.0]).fit(features, labels).predict(features[:, :3])
    with pytest.raises(ValueError, match="positive and ascending"):
        SparseLinearProbe([1.0, 0.1])
