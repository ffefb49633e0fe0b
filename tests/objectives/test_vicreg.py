"""VICReg against lightly 1.6.0 (`VICRegLoss`) and Algorithm 1 of 2105.04906 in float64 numpy.

Values and gradients agree with lightly to a relative 1e-5 (absolute 1e-6); with Algorithm 1, which
adds the hinge over the views where the authors' code and ours average it, to 1e-5 at half weight.
"""

import numpy as np
import pytest
import torch
from lightly.loss import VICRegLoss

from trivium.objectives.self_supervised.vicreg import VICReg, covariance, hinge, vicreg

SETTINGS = {
    "invariance": 25.0,
    "variance": 25.0,
    "covariance": 1.0,
    "hidden_width": 8,
    "projection_width": 4,
}


def weighted(first, second, weights):
    return sum(weight * term for weight, term in zip(weights, vicreg(first, second), strict=True))


def loss_and_gradients(loss, first, second):
    first, second = first.clone().requires_grad_(), second.clone().requires_grad_()
    value = loss(first, second)
    value.backward()
    return value.detach(), first.grad, second.grad


def algorithm_1(first, second, weights):
    """The loss as printed: the hinge is added over the two views."""
    losses = np.zeros(3)
    views = first.double().numpy(), second.double().numpy()
    losses[0] = np.mean((views[0] - views[1]) ** 2)
    for z in views:
        losses[1] += np.maximum(0, 1 - np.sqrt(z.var(0, ddof=1) + 1e-4)).mean()
        matrix = np.cov(z.T)
        losses[2] += (matrix[~np.eye(len(matrix), dtype=bool)] ** 2).sum() / len(matrix)
    return float(losses @ weights)


@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 3.0)])
def test_loss_and_gradient_equal_lightly(weights):
    first, second = 0.8 * torch.randn(2, 16, 8)
    ours = loss_and_gradients(lambda a, b: weighted(a, b, weights), first, second)
    theirs = loss_and_gradients(VICRegLoss(*weights), first, second)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_half_of_the_hinge_is_that_of_the_algorithm_as_printed():
    first, second = 0.8 * torch.randn(2, 16, 8)
    loss = weighted(first, second, (25.0, 25.0, 1.0))
    assert loss.item() == pytest.approx(algorithm_1(first, second, (25.0, 12.5, 1.0)), rel=1e-5)


def test_collapsed_features_sit_on_the_plateau(encoder, data):
    loss = weighted(torch.ones(7, 4), torch.ones(7, 4), (25.0, 25.0, 1.0))
    assert loss.item() == pytest.approx(25 * 0.99)
    assert VICReg(encoder, data, **SETTINGS).plateau(7) == pytest.approx(25 * 0.99)


def test_gradient_of_a_collapsed_batch_is_finite():
    projections = torch.ones(7, 4, requires_grad=True)
    weighted(projections, projections, (25.0, 25.0, 1.0)).backward()
    assert projections.grad.isfinite().all()


def test_hinge_is_on_the_deviation_and_open_above_one():
    z = torch.tensor([[-1.0], [1.0]]) / 2**0.5  # of unbiased variance 1
    assert hinge(0.5 * z).item() == pytest.approx(1 - (0.25 + 1e-4) ** 0.5)
    assert hinge(2 * z) == 0


def test_covariance_sees_pairs_of_channels_only():
    z = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    assert covariance(5 * z).item() == pytest.approx(0, abs=1e-6)
    repeated = z[:, :1].expand(4, 3)
    assert covariance(repeated).item() == pytest.approx(6 * (4 / 3) ** 2 / 3)


def test_order_does_not_matter_but_scale_and_pairs_do():
    first, second = torch.randn(2, 9, 4)
    order, weights = torch.randperm(9), (25.0, 25.0, 1.0)
    loss = weighted(first, second, weights)
    torch.testing.assert_close(weighted(first[order], second[order], weights), loss)
    torch.testing.assert_close(weighted(second, first, weights), loss)
    assert not torch.isclose(weighted(2 * first, 2 * second, weights), loss)
    assert not torch.isclose(weighted(first, second[order], weights), loss)


def test_objective_weighs_the_terms_as_set(encoder, data, two_views):
    settings = SETTINGS | {"invariance": 2.0, "variance": 3.0, "covariance": 5.0}
    terms = VICReg(encoder, data, **settings)(two_views)
    assert all(terms[name] > 0 for name in ("invariance", "variance", "covariance"))
    expected = 2 * terms["invariance"] + 3 * terms["variance"] + 5 * terms["covariance"]
    torch.testing.assert_close(terms["loss"].detach(), expected)


def test_loss_is_computed_in_float32_under_autocast():
    first, second = torch.randn(2, 8, 16)
    expected = vicreg(first, second)
    with torch.autocast("cpu", torch.bfloat16):
        assert vicreg(first, second) == expected
