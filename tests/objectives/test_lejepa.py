"""LeJEPA: SIGReg against scipy's quadrature (rel 2e-3, the knots' own error), the closed form of
the whole integral, and a transcription of the paper's complex listing (rtol 1e-4)."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from trivium.objectives.self_supervised.lejepa import LeJEPA, collapsed, draw_slices, lejepa, sigreg
from trivium.types import View, Views

SETTINGS = {
    "weight": 0.1,
    "num_slices": 32,
    "num_knots": 17,
    "last_knot": 3.0,
    "hidden_width": 16,
    "projection_width": 8,
}
AXIS = torch.ones(1, 1)


@pytest.fixture
def objective(encoder, data):
    return LeJEPA(encoder, data, **SETTINGS)


def by_quadrature(samples, last=3.0):
    def integrand(t):
        distance = np.exp(1j * t * samples).mean() - np.exp(-(t**2) / 2)
        return abs(distance) ** 2 * np.exp(-(t**2) / 2)

    return len(samples) * quad(integrand, -last, last, limit=200)[0]


@pytest.mark.parametrize("scale", [0.1, 1.0, 2.0])
def test_statistic_equals_scipys_quadrature(scale):
    samples = 0.3 + scale * torch.randn(40, 1)
    expected = by_quadrature(samples[:, 0].double().numpy())
    assert sigreg(samples, AXIS, 17, 3.0).item() == pytest.approx(expected, rel=2e-3)


def test_many_knots_give_the_closed_form():
    samples = torch.randn(30, 1) * 1.4
    x = samples[:, 0].double()
    pairs = (-(x[:, None] - x).square() / 2).exp().mean() * math.sqrt(2 * math.pi)
    cross = (-x.square() / 4).exp().mean() * math.sqrt(math.pi)
    expected = 30 * (pairs - 2 * cross + math.sqrt(2 * math.pi / 3))
    assert sigreg(samples, AXIS, 401, 8.0).item() == pytest.approx(expected.item(), rel=1e-4)


def test_value_and_gradient_equal_the_papers_listing():
    values = torch.randn(24, 6, requires_grad=True)
    slices = draw_slices(6, 16, 3)
    knots = torch.linspace(-3, 3, 33)
    projected = values @ slices
    ecf = (1j * projected.unsqueeze(2) * knots).exp().mean(0)
    gaussian = (-0.5 * knots**2).exp()
    error = (ecf - gaussian).abs().square() * gaussian
    expected = (torch.trapezoid(error, knots, dim=1) * 24).mean()
    (theirs,) = torch.autograd.grad(expected, values)
    ours = sigreg(values, slices, 17, 3.0)
    (gradient,) = torch.autograd.grad(ours, values)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient, theirs, rtol=1e-4, atol=1e-6)


def test_gaussian_features_score_as_noise_and_others_worse():
    slices = draw_slices(8, 64, 0)
    gaussian = torch.stack([sigreg(torch.randn(500, 8), slices, 17, 3.0) for _ in range(30)])
    expected = math.sqrt(2 * math.pi) - math.sqrt(2 * math.pi / 3)
    assert gaussian.mean().item() == pytest.approx(expected, rel=0.1)
    for other in (2 * torch.randn(500, 8), torch.randn(500, 1).expand(-1, 8), torch.zeros(500, 8)):
        assert sigreg(other, slices, 17, 3.0) > 10 * expected


def test_collapsed_features_sit_on_the_plateau(objective):
    expected = by_quadrature(np.zeros(7))
    assert collapsed(7, 17, 3.0) == pytest.approx(expected, rel=2e-3)
    zeros = torch.zeros(2, 7, 8)
    invariance, spread = lejepa(zeros, objective.slices, 17, 3.0)
    assert invariance == 0
    assert objective.plateau(7) == pytest.approx(0.1 * spread.item(), rel=1e-5)


def test_neither_order_nor_sign_matters():
    values, slices = torch.randn(20, 4), draw_slices(4, 8, 0)
    expected = sigreg(values, slices, 17, 3.0)
    torch.testing.assert_close(sigreg(values[torch.randperm(20)], slices, 17, 3.0), expected)
    torch.testing.assert_close(sigreg(-values, slices, 17, 3.0), expected)
    assert not torch.isclose(sigreg(values + 1, slices, 17, 3.0), expected)


def test_every_view_is_drawn_to_the_mean_of_the_global_ones():
    views = torch.randn(4, 5, 3)
    centre = (views[0] + views[1]) / 2
    expected = sum((view - centre).pow(2).mean() for view in views) / 4
    invariance, spread = lejepa(views, draw_slices(3, 8, 0), 17, 3.0)
    torch.testing.assert_close(invariance, expected)
    alone = [sigreg(view, draw_slices(3, 8, 0), 17, 3.0) for view in views]
    torch.testing.assert_close(spread, sum(alone) / 4)


def test_slices_are_fresh_unit_vectors_that_a_resumed_run_repeats(encoder, data, objective):
    before = objective.slices.clone()
    torch.testing.assert_close(before.norm(dim=0), torch.ones(32))
    torch.manual_seed(11)
    objective.after_step(0.5)
    assert not torch.allclose(objective.slices, before)
    resumed = LeJEPA(encoder, data, **SETTINGS)
    resumed.load_state_dict(objective.state_dict())
    torch.manual_seed(12)
    for run in (objective, resumed):
        run.after_step(0.6)
    assert torch.equal(objective.slices, resumed.slices)


def test_step_takes_local_views_too_and_lowers_both_terms(objective, two_views):
    views = Views((*two_views.views, View(torch.rand(6, 1, 8, 8))))
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    history = []
    for _ in range(60):
        optimizer.zero_grad()
        terms = objective(views)
        terms["loss"].backward()
        optimizer.step()
        objective.after_step(0.5)
        history.append(terms["loss"].item())
    assert history[-1] < 0.8 * history[0]
    assert not terms["sigreg"].requires_grad


def test_statistic_is_computed_in_float32_under_autocast():
    values, slices = torch.randn(16, 4), draw_slices(4, 8, 0)
    with torch.autocast("cpu", torch.bfloat16):
        inside = sigreg(values, slices, 17, 3.0)
    assert torch.equal(inside, sigreg(values, slices, 17, 3.0))
