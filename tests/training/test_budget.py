import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trivium.objectives.supervised.cross_entropy import CrossEntropy
from trivium.training.budget import Budget, StepCost, count_flops
from trivium.types import View, Views

PLAIN = {"label_smoothing": 0.0, "mixup": 0.0, "cutmix": 0.0}


@pytest.mark.parametrize("given_", [{}, {"flops": 1e9, "steps": 3}, {"samples": 1, "seconds": 2.0}])
def test_exactly_one_currency(given_):
    with pytest.raises(ValueError, match="exactly one of flops, samples, steps or seconds"):
        Budget(**given_)


def test_a_negative_budget_is_refused():
    with pytest.raises(ValueError, match=r"budget\.steps must not be negative"):
        Budget(steps=-1)


@given(steps=st.integers(1, 10_000), price=st.integers(1, 10**12), rest=st.floats(0, 0.9))
def test_flops_buy_whole_steps(steps, price, rest):
    budget = Budget(flops=float(steps * price + int(rest * price)))
    bought = budget.num_steps(StepCost(lambda _: price), samples_per_step=1)
    assert bought * price <= budget.flops < (bought + 1) * price + 1e-6 * budget.flops


def test_samples_steps_and_seconds():
    assert Budget(samples=1000).num_steps(StepCost(lambda _: 1), samples_per_step=128) == 7
    assert Budget(steps=5).num_steps(StepCost(lambda _: 10**9), samples_per_step=1) == 5
    assert Budget(seconds=5.0).num_steps(StepCost(lambda _: 1), samples_per_step=1) is None
    assert Budget(flops=0.0).num_steps(StepCost(lambda _: 10), samples_per_step=1) == 0


def test_a_budget_below_one_step_says_what_a_step_costs():
    with pytest.raises(ValueError, match="does not buy one step, which costs 100"):
        Budget(flops=99.0).num_steps(StepCost(lambda _: 100), samples_per_step=1)


def test_count_is_the_closed_form_and_leaves_no_trace(make_objective):
    objective = make_objective(CrossEntropy, **PLAIN)
    before = copy.deepcopy(objective.state_dict())
    batch, tokens, width, patch = 4, 16, 16, 8 * 8 * 3
    views = Views((View(torch.rand(batch, 3, 32, 32)),), torch.zeros(batch, dtype=torch.long))
    random = torch.get_rng_state()
    linear = tokens * (patch * width + 12 * width**2) + 5 * width
    attention = 2 * tokens * tokens * width
    forward = 2 * batch * (linear + attention)
    # The stem's input needs no gradient, so its backward is one product instead of two.
    backward = 2 * forward - 2 * batch * tokens * patch * width
    assert count_flops(objective, views) == forward + backward
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in objective.state_dict().items())
    assert all(parameter.grad is None for parameter in objective.parameters())
