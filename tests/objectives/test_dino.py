"""DINO against lightly 1.6.0 (`DINOLoss`; loss 1e-5, gradients 1e-4), and its schedules."""

import copy
import math

import pytest
import torch
from lightly.loss import DINOLoss

from trivium.objectives.self_supervised.dino import DINO, cross_entropy, mean_score
from trivium.types import View, Views

SETTINGS = {
    "hidden_width": 16,
    "bottleneck_width": 8,
    "num_prototypes": 12,
    "student_temperature": 0.1,
    "teacher_temperature": 0.06,
    "teacher_temperature_start": 0.02,
    "warmup": 0.5,
    "centre_momentum": 0.9,
    "momentum": 0.9,
    "freeze": 0.2,
}


@pytest.fixture
def objective(encoder, data):
    return DINO(encoder, data, **SETTINGS)


@pytest.fixture
def crops():
    return Views(tuple(View(torch.rand(6, 1, side, side)) for side in (8, 8, 4, 4, 5)))


def perturb(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def test_loss_gradient_and_centre_equal_lightly(objective, crops):
    perturb(objective.head)
    objective.centre.copy_(0.3 * torch.randn(12))
    reference = DINOLoss(12, student_temp=0.1, center_momentum=0.9)
    reference.center.copy_(objective.centre)
    objective.after_step(0.5)
    objective.centre.copy_(reference.center.flatten())
    with torch.no_grad():
        teacher = [objective.teacher(view) for view in crops.views[:2]]
    student = [objective.head(objective.encoder(view.values).pooled) for view in crops.views]
    expected = reference(teacher, student, teacher_temp=0.06)
    parameters = [p for p in objective.parameters() if p.requires_grad]
    theirs = torch.autograd.grad(expected, parameters)
    loss = objective(crops)["loss"]
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    ours = torch.autograd.grad(loss, parameters)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    objective.after_step(0.6)
    torch.testing.assert_close(objective.centre, reference.center.flatten())


def test_loss_is_the_mean_over_pairs_of_different_views():
    targets, logits = torch.rand(2, 3, 4).softmax(-1), torch.randn(4, 3, 4)
    pairs = [(t, s) for t in range(2) for s in range(4) if t != s]
    expected = sum(-(targets[t] * logits[s].log_softmax(1)).sum() / 3 for t, s in pairs) / 6
    torch.testing.assert_close(cross_entropy(targets, logits), expected)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(cross_entropy(targets, logits), expected)


def test_collapse_sits_on_the_plateau(objective, two_views):
    torch.nn.init.zeros_(objective.head.mlp[-1].weight)
    terms = objective(two_views)
    assert terms["loss"].item() == pytest.approx(objective.plateau(6), rel=1e-3)
    assert objective.plateau(6) == pytest.approx(math.log(12))


def test_terms_add_up(objective, crops):
    perturb(objective.head)
    terms = objective(crops)
    torch.testing.assert_close(terms["entropy"] + terms["kl"], terms["loss"].detach())
    assert 0 < terms["entropy"] < math.log(12)
    assert 1 <= terms["prototypes"] <= 12


def test_the_teacher_sees_global_views_only_and_gets_no_gradient(objective, crops):
    seen = []
    objective.teacher.encoder.register_forward_hook(
        lambda module, args, output: seen.append(args[0].shape[-1])
    )
    objective(crops)["loss"].backward()
    assert seen == [8, 8]
    for teacher in (objective.teacher.encoder, objective.teacher.head):
        assert all(parameter.grad is None for parameter in teacher.parameters())


def test_the_centre_moves_after_the_step_and_in_training_only(objective, two_views):
    perturb(objective.head)
    objective.eval()(two_views)
    objective.after_step(0.1)
    assert not objective.centre.any()
    objective.train()(two_views)
    assert not objective.centre.any()
    mean = mean_score(torch.stack([objective.teacher(view) for view in two_views.views]))
    objective.after_step(0.2)
    torch.testing.assert_close(objective.centre, 0.1 * mean)


def test_teacher_follows_with_a_cosine_momentum(objective):
    before = objective.teacher.head.copy.mlp[0].weight.clone()
    perturb(objective)
    objective.teacher.head.copy.mlp[0].weight.copy_(before)
    objective.after_step(0.5)
    expected = before.lerp(objective.head.mlp[0].weight, 0.05)
    torch.testing.assert_close(objective.teacher.head.copy.mlp[0].weight, expected)


def test_teacher_s_temperature_warms_up_and_prototypes_thaw(objective, two_views):
    for progress, temperature in [(0.0, 0.02), (0.25, 0.04), (0.5, 0.06), (1.0, 0.06)]:
        objective.after_step(progress)
        assert objective.teacher_temperature.item() == pytest.approx(temperature)
        objective.zero_grad()
        objective(two_views)["loss"].backward()
        assert objective.head.prototypes.weight.grad.any() == (progress >= 0.2)
        assert objective.head.mlp[0].weight.grad.any()


def test_a_resumed_run_repeats_the_uninterrupted_one(objective, encoder, data, two_views):
    def step(trained, progress):
        perturb(trained.head)
        loss = trained(two_views)["loss"]
        trained.after_step(progress)
        return loss

    step(objective, 0.3)
    other = DINO(copy.deepcopy(encoder), data, **SETTINGS)
    other.load_state_dict(objective.state_dict())
    state = torch.get_rng_state()
    expected = [step(objective, progress) for progress in (0.4, 0.6)]
    torch.set_rng_state(state)
    assert torch.equal(torch.stack([step(other, p) for p in (0.4, 0.6)]), torch.stack(expected))


def test_assignment_is_the_teacher_s_after_centring(objective, one_view):
    perturb(objective.teacher.head)
    scores = objective.teacher(one_view.views[0])
    assert torch.equal(objective.assign(one_view.views[0]), scores.argmax(1))
    objective.centre[scores[0].argmax()] = 3.0
    assert objective.assign(one_view.views[0])[0] != scores[0].argmax()
