"""Barlow Twins against lightly 1.6.0 (`BarlowTwinsLoss`) and closed forms.

Values and gradients agree to a relative 1e-5 (gradients: absolute 1e-5).
"""

import pytest
import torch
from lightly.loss import BarlowTwinsLoss

from trivium.objectives.self_supervised.barlow_twins import BarlowTwins, barlow_twins

HADAMARD = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
"""Four samples with three channels that do not correlate, of mean 0 and variance 1."""


def loss_and_gradients(loss, first, second):
    first, second = first.clone().requires_grad_(), second.clone().requires_grad_()
    value = loss(first, second)
    value.backward()
    return value.detach(), first.grad, second.grad


@pytest.mark.parametrize("redundancy", [0.0051, 0.5])
def test_loss_and_gradient_equal_lightly(redundancy):
    first, second = torch.randn(2, 16, 8)
    ours = loss_and_gradients(lambda a, b: barlow_twins(a, b, redundancy)["loss"], first, second)
    theirs = loss_and_gradients(BarlowTwinsLoss(redundancy), first, second)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_identical_views_without_redundancy_are_perfect():
    loss = barlow_twins(HADAMARD, HADAMARD, 0.5)["loss"]
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_each_sum_sees_its_own_fault():
    opposite = barlow_twins(HADAMARD, -HADAMARD, 0.5)
    assert opposite["invariance"].item() == pytest.approx(3 * 4, rel=1e-4)
    assert opposite["redundancy"].item() == pytest.approx(0, abs=1e-6)
    same = HADAMARD[:, :1].expand(4, 3)
    repeated = barlow_twins(same, same, 0.5)
    assert repeated["invariance"].item() == pytest.approx(0, abs=1e-6)
    assert repeated["redundancy"].item() == pytest.approx(6, rel=1e-4)
    assert repeated["loss"].item() == pytest.approx(3, rel=1e-4)


def test_collapsed_features_sit_on_the_plateau(encoder, data):
    settings = {"redundancy": 0.0051, "hidden_width": 8, "projection_width": 4}
    objective = BarlowTwins(encoder, data, **settings)
    loss = barlow_twins(torch.ones(7, 4), torch.ones(7, 4), 0.0051)["loss"]
    assert loss.item() == pytest.approx(4)
    assert objective.plateau(7) == 4


def test_neither_order_nor_side_nor_scale_of_a_channel_matters():
    first, second = torch.randn(2, 9, 4)
    loss = barlow_twins(first, second, 0.1)["loss"]
    order = torch.randperm(9)
    scaled = first * torch.tensor([1.0, 2.0, 5.0, 9.0]) + 3
    for views in ((first[order], second[order]), (second, first), (scaled, second)):
        torch.testing.assert_close(barlow_twins(*views, 0.1)["loss"], loss, rtol=1e-4, atol=1e-5)
    assert not torch.isclose(barlow_twins(first, second[order], 0.1)["loss"], loss)


def test_objective_weighs_redundancy_as_set(encoder, data, two_views):
    settings = {"redundancy": 0.3, "hidden_width": 8, "projection_width": 4}
    terms = BarlowTwins(encoder, data, **settings)(two_views)
    assert terms["redundancy"] > 0
    expected = terms["invariance"] + 0.3 * terms["redundancy"]
    torch.testing.assert_close(terms["loss"].detach(), expected)


def test_loss_is_computed_in_float32_under_autocast():
    first, second = torch.randn(2, 8, 16)
    expected = barlow_twins(first, second, 0.1)["loss"]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(barlow_twins(first, second, 0.1)["loss"], expected)
