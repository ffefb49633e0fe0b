"""NT-Xent against lightly 1.6.0 (`NTXentLoss`) and closed forms."""

import math

import pytest
import torch
from lightly.loss import NTXentLoss

from trivium.objectives.self_supervised.simclr import SimCLR, nt_xent


def loss_and_gradients(loss, first, second):
    first, second = first.clone().requires_grad_(), second.clone().requires_grad_()
    value = loss(first, second)
    value.backward()
    return value.detach(), first.grad, second.grad


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_loss_and_gradient_equal_lightly(temperature):
    first, second = torch.randn(2, 16, 8)
    ours = loss_and_gradients(lambda a, b: nt_xent(a, b, temperature)[0], first, second)
    theirs = loss_and_gradients(NTXentLoss(temperature), first, second)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


def test_orthogonal_samples_with_identical_views():
    identity = torch.eye(5)
    loss, accuracy = nt_xent(identity, 3 * identity, 0.5)
    assert loss.item() == pytest.approx(math.log(math.exp(2) + 8) - 2, rel=1e-6)
    assert accuracy == 1


def test_collapsed_features_sit_on_the_plateau(encoder, data):
    objective = SimCLR(encoder, data, temperature=0.1, hidden_width=8, projection_width=4)
    loss, _ = nt_xent(torch.ones(7, 4), torch.ones(7, 4), 0.1)
    assert loss.item() == pytest.approx(math.log(13), rel=1e-6)
    assert objective.plateau(7) == pytest.approx(math.log(13))


def test_neither_order_nor_side_matters():
    first, second = torch.randn(2, 9, 4)
    order = torch.randperm(9)
    loss, _ = nt_xent(first, second, 0.2)
    torch.testing.assert_close(nt_xent(first[order], second[order], 0.2)[0], loss)
    torch.testing.assert_close(nt_xent(second, first, 0.2)[0], loss)
    assert not torch.isclose(nt_xent(first, second[order], 0.2)[0], loss)


def test_accuracy_counts_nearest_positives():
    first = torch.eye(4)
    second = torch.eye(4)[[0, 1, 3, 2]]
    assert nt_xent(first, second, 0.2)[1] == 0.5


def test_loss_is_computed_in_float32_under_autocast():
    first, second = torch.randn(2, 8, 16)
    expected, _ = nt_xent(first, second, 0.05)
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = nt_xent(first, second, 0.05)
    assert torch.equal(loss, expected)


def test_step_pulls_the_views_of_a_sample_together(encoder, data, two_views):
    objective = SimCLR(encoder, data, temperature=0.2, hidden_width=32, projection_width=16)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        terms = objective(two_views)
        terms["loss"].backward()
        optimizer.step()
    assert terms["accuracy"] == 1
