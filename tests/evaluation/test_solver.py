"""The solver's derivatives, and what it promises of its solutions."""

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.special import log_softmax

from trivium.evaluation.solver import SoftmaxRegression, principal


def problem(*, dense=True, single=False, num_items=50, **settings):
    rng = np.random.default_rng(0)
    features = np.column_stack([rng.normal(size=(num_items, 4)), np.ones(num_items)])
    labels = rng.integers(0, 3, num_items)
    rows = features.astype("f4" if single else "f8")
    penalty = np.array([1.0, 2.0, 0.5, 1.0, 0.0])
    known = rows if dense else sparse.csr_array(features)
    return SoftmaxRegression(known, labels, 3, penalty, **settings), features, labels


@pytest.mark.parametrize("dense", [True, False])
def test_loss_and_gradient(dense):
    made, features, labels = problem(dense=dense)
    weights = np.random.default_rng(1).normal(size=15)
    value, gradient = made.loss(weights)
    logs = log_softmax(features @ weights.reshape(3, 5).T, 1)
    assert value == pytest.approx(-logs[np.arange(50), labels].mean())
    for index in range(15):
        step = 1e-5 * np.eye(15)[index]
        slope = (made.loss(weights + step)[0] - made.loss(weights - step)[0]) / 2e-5
        assert gradient[index] == pytest.approx(slope, abs=1e-8)


def test_items_are_worked_on_in_blocks(monkeypatch):
    whole, _, _ = problem(num_items=700)
    monkeypatch.setattr("trivium.evaluation.solver.BLOCK", 5 * 300)
    parts, _, _ = problem(num_items=700)
    assert [len(each) for each in parts.blocks] == [300, 300, 100]
    weights = np.random.default_rng(1).normal(size=15)
    for one, other in zip(whole.loss(weights), parts.loss(weights), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("dense", [True, False])
def test_the_hessian_is_that_of_the_loss(dense):
    made, _, _ = problem(dense=dense)
    weights = np.random.default_rng(1).normal(size=15)
    hessian = made._hessian(weights).numpy()
    direction = np.random.default_rng(2).normal(size=(3, 5))
    direction = (direction - direction.mean(0)).ravel()
    before, after = (made.loss(weights + sign * 1e-5 * direction)[1] for sign in (-1, 1))
    np.testing.assert_allclose(hessian @ direction, (after - before) / 2e-5, atol=1e-7)


@pytest.mark.parametrize("few", [2500, 0])
def test_the_minimum_is_found_with_and_without_a_hessian(few, monkeypatch):
    monkeypatch.setattr("trivium.evaluation.solver.FEW", few)
    monkeypatch.setattr("trivium.evaluation.solver.OVERHEAD", 1e9)
    made, _, _ = problem()
    found, _, _, converged = made.minimise(np.zeros(15), 1e-3, tolerance=1e-14, max_iterations=200)
    assert converged
    assert (made.hessian is None) == (few == 0)
    _, gradient = made.loss(found)
    np.testing.assert_allclose(gradient + 1e-3 * made.penalty * found, 0, atol=1e-6)
    np.testing.assert_allclose(found.reshape(3, 5).sum(0), 0, atol=1e-12)


def test_single_precision_ends_at_the_same_value():
    double, single = (problem(single=one)[0] for one in (False, True))
    values = [
        made.minimise(np.zeros(15), 1e-3, tolerance=1e-8, max_iterations=200)[1]
        for made in (double, single)
    ]
    assert values[1] == pytest.approx(values[0], rel=1e-6)


def test_losses_of_separated_items_keep_their_precision():
    made, features, labels = problem()
    made.labels = (torch.from_numpy(labels := (features[:, 0] > 0).astype(int)),)
    weights = np.zeros((3, 5))
    weights[1, 0], weights[2, 4] = 300.0, -50.0
    value, _ = made.loss(weights.ravel())
    logs = log_softmax(features @ weights.T, 1)
    assert value == pytest.approx(-logs[np.arange(50), labels].mean(), rel=1e-9)


@pytest.mark.parametrize(("num_items", "width"), [(300, 20), (40, 90), (600, 250)])
def test_principal_axes(num_items, width):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(num_items, width)) * np.logspace(0, -3, width)
    axes, variances, others = principal(torch.from_numpy(features))
    np.testing.assert_allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-10)
    total = np.square(features).sum() / num_items
    assert variances.sum() + others * (width - axes.shape[1]) == pytest.approx(total, rel=1e-6)
    truth = np.linalg.svd(features, compute_uv=False) ** 2 / num_items
    np.testing.assert_allclose(np.sort(variances)[::-1][:20], truth[:20], rtol=1e-3)
