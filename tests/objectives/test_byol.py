"""BYOL against lightly 1.6.0 (`NegativeCosineSimilarity`; ours is 2 + 2 x its value).

Values and gradients agree to a relative 1e-5 (absolute 1e-6).
"""

import pytest
import torch
from lightly.loss import NegativeCosineSimilarity
from torch.nn import functional as F

from trivium.objectives.self_supervised.byol import BYOL, regression, spread


@pytest.fixture
def objective(encoder, data):
    """An objective whose target network differs from the online one."""
    objective = BYOL(encoder, data, momentum=0.9, hidden_width=12, projection_width=8)
    for copy in (objective.target.encoder, objective.target.head):
        for parameter in copy.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return objective


def test_loss_and_gradient_equal_lightly():
    target = torch.randn(16, 8)
    ours, theirs = (torch.randn(16, 8, generator=_seed()).requires_grad_() for _ in range(2))
    loss, reference = regression(ours, target), 2 + 2 * NegativeCosineSimilarity()(theirs, target)
    loss.backward()
    reference.backward()
    torch.testing.assert_close(loss, reference, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)


def _seed():
    return torch.Generator().manual_seed(1)


def test_it_is_the_squared_distance_of_unit_vectors():
    prediction, target = torch.randn(2, 9, 4)
    distance = F.normalize(prediction, dim=1) - F.normalize(target, dim=1)
    torch.testing.assert_close(regression(prediction, target), distance.square().sum(1).mean())
    assert regression(prediction, 3 * prediction).item() == pytest.approx(0, abs=1e-6)
    assert regression(prediction, -prediction).item() == pytest.approx(4)


def test_step_crosses_the_views_and_predicts_on_the_online_branch_only(objective, two_views):
    first, second = (view.values for view in two_views.views)

    def online(images):
        return objective.predictor(objective.projector(objective.encoder(images).pooled))

    def target(images):
        features = objective.target.encoder.copy(images).pooled
        return objective.target.head.copy(features)

    cosines = F.cosine_similarity(online(first), target(second)).mean()
    cosines = cosines + F.cosine_similarity(online(second), target(first)).mean()
    torch.testing.assert_close(objective(two_views)["loss"], 4 - 2 * cosines)


def test_gradient_reaches_the_online_branch_only(objective, two_views):
    objective(two_views)["loss"].backward()
    targets = [objective.target.encoder, objective.target.head]
    online = [objective.encoder, objective.projector, objective.predictor]
    assert all(p.grad is None for module in targets for p in module.parameters())
    assert all(p.grad.any() for module in online for p in module.parameters())


def test_target_moves_after_the_step_and_stands_still_at_the_end(objective, two_views):
    def parameters(*modules):
        return [p.detach().clone() for module in modules for p in module.parameters()]

    objective(two_views)["loss"].backward()
    old = parameters(objective.target.encoder, objective.target.head)
    torch.optim.SGD([p for p in objective.parameters() if p.requires_grad], lr=0.1).step()
    followed = parameters(objective.encoder, objective.projector)
    objective.after_step(1.0)
    still = parameters(objective.target.encoder, objective.target.head)
    objective.after_step(0.5)  # half way from 0.9 to 1
    new = parameters(objective.target.encoder, objective.target.head)
    for before, end, after, online in zip(old, still, new, followed, strict=True):
        assert torch.equal(end, before)
        torch.testing.assert_close(after, 0.95 * before + 0.05 * online)


def test_running_averages_are_taken_over_and_play_no_part_in_the_loss(objective, two_views):
    expected = objective(two_views)["loss"]
    own, others = objective.target.head.copy[1], objective.projector[1]
    assert not torch.allclose(own.running_mean, others.running_mean)
    objective.after_step(1.0)
    assert torch.equal(own.running_mean, others.running_mean)
    assert torch.equal(own.running_var, others.running_var)
    own.running_mean.fill_(9), others.running_var.fill_(9)
    torch.testing.assert_close(objective(two_views)["loss"], expected, rtol=0, atol=0)


def test_spread_tells_collapse_from_variety():
    assert spread(torch.ones(6, 4)).item() == pytest.approx(0, abs=1e-6)
    assert spread(torch.cat([torch.eye(4), -2 * torch.eye(4)])).item() == pytest.approx(1)
    assert spread(torch.randn(4000, 16)).item() == pytest.approx(1, abs=0.01)


def test_target_std_shows_a_target_that_says_the_same_of_all(objective, two_views):
    before = objective(two_views)["target_std"]
    with torch.no_grad():
        objective.target.head.copy[-1].weight.zero_()
    assert objective(two_views)["target_std"] < 1e-6 < 1e-2 < before
    assert objective.plateau(6) is None
