import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from trivium.probes.linear import PENALTIES, ConvergenceWarning, LinearProbe

from .conftest import blobs


def objective(features, labels, weights, intercept, penalty):
    logs = log_softmax(features @ weights.T + intercept, axis=1)
    loss = -logs[np.arange(len(labels)), labels].sum()
    return penalty * loss + 0.5 * np.square(weights).sum()


def reference(features, labels, penalty):
    # Newton's method with a direct solve of the Hessian: exact where first-order methods stall.
    newton = LogisticRegression(C=penalty, solver="newton-cholesky", tol=1e-10, max_iter=500)
    return newton.fit(features, labels)


CASES = {
    "overlapping": blobs(1500, 12, 4, spread=0.5),
    "separable": blobs(120, 20, 3, spread=8.0),
    "wide": blobs(40, 60, 3),
    "single precision": blobs(24_000, 20, 4, spread=0.6),
}


@pytest.mark.parametrize("case", CASES)
def test_every_penalty_reaches_the_objective_of_scikit_learn(case):
    features, labels = CASES[case]
    probe = LinearProbe().fit(features, labels)
    assert probe.converged_
    standard = (features.astype(np.float64) - probe.mean_) / probe.scale_
    for index, penalty in enumerate(PENALTIES):
        truth = reference(standard, labels, penalty)
        best = objective(standard, labels, truth.coef_, truth.intercept_, penalty)
        coefficients, intercept = probe.path_coef_[index], probe.path_intercept_[index]
        ours = objective(standard, labels, coefficients, intercept, penalty)
        assert ours == pytest.approx(best, rel=5e-5)
        assert probe.objective_[index] == pytest.approx(ours, rel=1e-5)


def test_coefficients_are_those_of_scikit_learn():
    features, labels = CASES["overlapping"]
    probe = LinearProbe([0.1], tolerance=1e-12).fit(features, labels)
    standard = (features.astype(np.float64) - features.mean(0, dtype=np.float64)) / probe.scale_
    truth = reference(standard, labels, 0.1)
    np.testing.assert_allclose(probe.coef_, truth.coef_, atol=1e-4)
    np.testing.assert_allclose(
        probe.predict_proba(features), truth.predict_proba(standard), atol=1e-4
    )
    assert probe.score(features, labels) == truth.score(standard, labels)


def test_validation_chooses_by_cross_entropy_and_the_second_fit_uses_both_sets():
    features, labels = blobs(900, 10, 3, spread=0.4)
    train, held_out = slice(0, 600), slice(600, 900)
    probe = LinearProbe().fit(
        features[train], labels[train], validation=(features[held_out], labels[held_out])
    )
    mean = features[train].mean(0, dtype=np.float64)
    scale = features[train].std(0, dtype=np.float64)
    scores = []
    for penalty in PENALTIES:
        truth = reference((features[train] - mean) / scale, labels[train], penalty)
        logs = truth.predict_log_proba((features[held_out] - mean) / scale)
        scores.append(-logs[np.arange(300), labels[held_out]].mean())
    solved = probe.contenders_
    assert not solved.all()
    np.testing.assert_array_equal(np.array(scores) > 1.1 * min(scores), ~solved)
    np.testing.assert_allclose(
        probe.validation_scores_[solved], np.array(scores)[solved], rtol=2e-3
    )
    assert PENALTIES[int(np.argmin(scores))] == probe.C_
    again = LinearProbe([probe.C_]).fit(features, labels)
    np.testing.assert_allclose(probe.mean_, features.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        probe.predict_proba(features), again.predict_proba(features), atol=5e-3
    )


def test_a_tie_goes_to_the_smaller_penalty():
    features, labels = np.ones((40, 3), np.float32), np.arange(40) % 2
    probe = LinearProbe([0.5, 5.0]).fit(features, labels, validation=(features, labels))
    np.testing.assert_allclose(probe.validation_scores_, np.log(2))
    assert probe.C_ == 0.5


def test_constant_channels_change_nothing():
    features, labels = blobs(300, 5, 3)
    padded = np.concatenate([features, np.full((300, 2), 1e4, np.float32)], 1)
    plain, constant = (
        LinearProbe([1.0]).fit(features, labels),
        LinearProbe([1.0]).fit(padded, labels),
    )
    np.testing.assert_allclose(constant.coef_[:, :5], plain.coef_, atol=1e-6)
    np.testing.assert_array_equal(constant.coef_[:, 5:], 0)
    assert (constant.scale_[5:] == 1).all()


@settings(max_examples=15, deadline=None)
@given(
    num_items=st.integers(6, 80),
    width=st.integers(1, 12),
    num_classes=st.integers(2, 5),
    seed=st.integers(0, 1000),
)
def test_any_shape_and_naming_of_the_classes(num_items, width, num_classes, seed):
    features, labels = blobs(num_items, width, num_classes, seed=seed)
    names = np.random.default_rng(seed).permutation(100)[:num_classes]
    probe = LinearProbe([1e-2, 1.0]).fit(features, labels)
    renamed = LinearProbe([1e-2, 1.0]).fit(features, names[labels])
    assert probe.converged_
    assert probe.coef_.shape == (num_classes, width)
    shares = probe.predict_proba(features)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
    order = np.argsort(names)
    np.testing.assert_allclose(renamed.predict_proba(features), shares[:, order], atol=5e-3)
    assert set(renamed.predict(features)) <= set(names)


def test_rare_classes():
    features, labels = blobs(900, 6, 3)
    kept = np.flatnonzero((labels < 2) | (np.arange(900) < 9))
    features, labels = features[kept], labels[kept]
    probe = LinearProbe([1.0], tolerance=1e-9).fit(features, labels)
    standard = (features - probe.mean_) / probe.scale_
    np.testing.assert_allclose(probe.coef_, reference(standard, labels, 1.0).coef_, atol=1e-3)


def test_fits_repeat_bit_by_bit():
    features, labels = CASES["overlapping"]
    first, second = (LinearProbe([0.1, 10.0]).fit(features, labels) for _ in range(2))
    np.testing.assert_array_equal(first.path_coef_, second.path_coef_)


def test_stopping_early_is_said_loudly():
    features, labels = CASES["overlapping"]
    with pytest.warns(ConvergenceWarning, match="raise max_iterations above 2"):
        probe = LinearProbe(max_iterations=2).fit(features, labels)
    assert not probe.converged_


def test_errors_say_what_is_wrong():
    features, labels = blobs(30, 4, 3)
    broken = features.copy()
    broken[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"1 of 30 feature rows hold NaN or infinity.*row 7"):
        LinearProbe().fit(broken, labels)
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


def test_warnings_are_silent_when_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LinearProbe().fit(*CASES["separable"])


def test_larger_penalties_are_not_tried_once_they_overfit():
    features, labels = blobs(60, 40, 3, spread=2.0)
    held_out = blobs(300, 40, 3, spread=2.0, seed=1)
    probe = LinearProbe().fit(features, labels, validation=held_out)
    tried = np.isfinite(probe.validation_scores_)
    last = int(np.flatnonzero(tried)[-1])
    assert not tried.all()
    assert tried[: last + 1].all()
    assert (last + 1) % 3 == 0
    assert probe.validation_scores_[last] > 1.1 * probe.validation_scores_.min()
    np.testing.assert_array_equal(np.isnan(probe.validation_accuracy_), ~tried)
    assert not probe.contenders_[~tried].any()
    alone = LinearProbe([probe.C_]).fit(features, labels, validation=held_out)
    np.testing.assert_allclose(
        probe.predict_proba(features), alone.predict_proba(features), atol=1e-3
    )


def test_one_penalty_is_chosen_without_choice():
    features, labels = blobs(60, 5, 3)
    probe = LinearProbe([0.1]).fit(features, labels, validation=(features, labels))
    assert probe.C_ == 0.1
    assert probe.validation_scores_.shape == (1,)
