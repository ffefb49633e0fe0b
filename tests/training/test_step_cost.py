from hypothesis import given
from hypothesis import strategies as st

from trivium.training.budget import StepCost

COSTS = {8: 10, 16: 25, 24: 41}


def test_each_size_is_counted_once_on_its_first_step():
    sizes, counted = [8, 16, 8, 24, 16, 8], []

    def count(step):
        counted.append(step)
        return COSTS[sizes[step]]

    step_cost = StepCost(count, lambda step: sizes[step])
    assert step_cost.upto(6) == 10 + 25 + 10 + 41 + 25 + 10
    assert step_cost.upto(3) == 45
    assert step_cost.upto(0) == 0
    assert counted == [0, 1, 3]


@given(st.lists(st.sampled_from([8, 16, 24]), min_size=1, max_size=50), st.integers(0, 900))
def test_what_is_afforded_fits_and_one_step_more_does_not(sizes, flops):
    step_cost = StepCost(lambda step: COSTS[sizes[step]], lambda step: step)
    endless = StepCost(lambda step: COSTS[sizes[step % len(sizes)]], lambda step: step % len(sizes))
    num_steps = endless.affordable(flops)
    assert endless.upto(num_steps) <= flops < endless.upto(num_steps + 1)
    assert step_cost.upto(len(sizes)) == sum(COSTS[size] for size in sizes)


def test_steps_that_cost_nothing_are_not_bought():
    assert StepCost(lambda _: 0).affordable(100) == 0
    assert StepCost(lambda _: 30).affordable(100) == 3
