"""Compute budgets in one of four units, and what a training step costs."""

import copy
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from trivium.types import Objective, Views

NUM_DRAWS = 16


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What one training may spend: exactly one of the four is given.

    `flops` counts training FLOPs: forward and backward passes of encoder, heads and teachers,
    as torch's FLOP counter sees them (a multiply-add is two). Views, the optimiser and the
    monitoring are not counted. `samples` counts samples drawn from the store, `steps` optimiser
    steps, `seconds` wall-clock seconds of training (the only budget that is not reproducible).

    Raises:
        ValueError: if not exactly one is given, or it is negative.
    """

    flops: float | None = None
    samples: int | None = None
    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        given = {key: value for key, value in vars(self).items() if value is not None}
        if len(given) != 1:
            raise ValueError(
                "A budget is exactly one of flops, samples, steps or seconds; "
                f"got {given or 'none'}. Choose the unit with budget=samples (or steps, "
                "seconds) and set that one alone."
            )
        ((unit, amount),) = given.items()
        if amount < 0:
            raise ValueError(f"budget.{unit} must not be negative; got {amount}.")

    def num_steps(self, step_cost: "StepCost", *, samples_per_step: int) -> int | None:
        """Optimiser steps that the budget pays for; None if only the clock decides.

        Raises:
            ValueError: if the budget is positive but too small for a single step.
        """
        if self.flops is not None:
            _check_one_step(self.flops, step_cost.step(0), "FLOPs")
            return step_cost.affordable(self.flops)
        if self.samples is not None:
            _check_one_step(self.samples, samples_per_step, "samples")
            return int(self.samples // samples_per_step)
        return self.steps


def _check_one_step(amount: float, cost: int, unit: str) -> None:
    if amount and amount < cost:
        raise ValueError(
            f"A budget of {amount:.3g} {unit} does not buy one step, which costs {cost:.3g}: "
            "raise the budget or lower trainer.batch_size."
        )


def count_flops(objective: Objective, views: Views) -> int:
    """Training FLOPs of one step: forward and backward of everything that the objective runs.

    Runs a copy on `views` and leaves parameters, buffers and the random state as they were. Where
    the cost depends on what the objective draws (masks of random size), it is the mean over 16
    draws, the same for every run.
    """
    counts: list[int] = []
    with torch.random.fork_rng():
        for draw in range(NUM_DRAWS):
            torch.manual_seed(draw)
            trial = copy.deepcopy(objective)
            with FlopCounterMode(display=False) as counter:
                trial(views)["loss"].backward()
            counts.append(int(counter.get_total_flops()))
            if draw == 3 and len(set(counts)) == 1:
                break
    return round(sum(counts) / len(counts))


class StepCost:
    """What every step costs (FLOPs, or tokens), known before the training starts.

    Batches of one size cost the same: each size is counted once, on the first batch that has it.

    Args:
        count: The cost of one step.
        size: The size of a step's batch, such as the length to which its texts are padded.
    """

    def __init__(
        self, count: Callable[[int], int], size: Callable[[int], Hashable] = lambda _: 0
    ) -> None:
        self.count = count
        self.size = size
        self.by_size: dict[Hashable, int] = {}
        self.spent = [0]

    def step(self, step: int) -> int:
        """The cost of one step."""
        size = self.size(step)
        if size not in self.by_size:
            self.by_size[size] = self.count(step)
        return self.by_size[size]

    def upto(self, num_steps: int) -> int:
        """The cost of the first steps together."""
        while len(self.spent) <= num_steps:
            self.spent.append(self.spent[-1] + self.step(len(self.spent) - 1))
        return self.spent[num_steps]

    def affordable(self, amount: float) -> int:
        """How many steps cost at most so much; 0 if steps cost nothing."""
        num_steps = 0
        while self.step(num_steps) and self.upto(num_steps + 1) <= amount:
            num_steps += 1
        return num_steps
