"""Compute budgets in one of four units, and what a training step costs."""

import copy
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from trivium.training.datamodule import StoreData
from trivium.types import Objective, Views

NUM_DRAWS = 16


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What one pretraining run may spend: exactly one of the four is given.

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
                f"got {given or 'none'}. Choose the currency with budget=samples (or steps, "
                "seconds) and set that one alone."
            )
        name, value = next(iter(given.items()))
        if value < 0:
            raise ValueError(f"budget.{name} must not be negative; got {value}.")

    def num_steps(self, price: "StepCost", *, samples_per_step: int) -> int | None:
        """Optimiser steps that the budget buys; None if only the clock decides.

        Raises:
            ValueError: if the budget is positive but too small for a single step.
        """
        if self.seconds is not None:
            return None
        if self.steps is not None:
            return self.steps
        if self.flops is not None:
            self._afford(self.flops, price.step(0), "FLOPs")
            return price.affordable(self.flops)
        assert self.samples is not None
        self._afford(self.samples, samples_per_step, "samples")
        return int(self.samples // samples_per_step)

    @staticmethod
    def _afford(spent: float, price: int, unit: str) -> None:
        if spent and spent < price:
            raise ValueError(
                f"A budget of {spent:.3g} {unit} does not buy one step, which costs {price:.3g}: "
                "raise the budget or lower trainer.batch_size."
            )


def count_flops(objective: Objective, views: Views) -> int:
    """Training FLOPs of one step: forward and backward of everything that the objective runs.

    Runs a copy on `views` and leaves parameters, buffers and the random state as they were. Where
    the price depends on what the objective draws (masks of random size), it is the mean over 16
    draws, the same for every run.
    """
    prices: list[int] = []
    with torch.random.fork_rng():
        for draw in range(NUM_DRAWS):
            torch.manual_seed(draw)
            trial = copy.deepcopy(objective)
            with FlopCounterMode(display=False) as counter:
                trial(views)["loss"].backward()
            prices.append(int(counter.get_total_flops()))
            if draw == 3 and len(set(prices)) == 1:
                break
    return round(sum(prices) / len(prices))


class StepCost:
    """Training FLOPs of every step, known before the training starts.

    Batches of one size (the padded length of texts, or of each of several modalities; 0 where
    all samples are alike) cost the same:
    each size is counted once, on the first batch that has it.

    Args:
        count: Counts the FLOPs of one step.
        size: The size of a step's batch.
    """

    def __init__(self, count: Callable[[int], int], size: Callable[[int], Hashable]) -> None:
        self.count = count
        self.size = size
        self.by_size: dict[Hashable, int] = {}
        self.spent = [0]

    @classmethod
    def of(cls, data: StoreData, count: Callable[[int], int]) -> "StepCost":
        """The price of steps on a store's batches."""
        return cls(count, data.size)

    @classmethod
    def constant(cls, flops: int) -> "StepCost":
        """Every step costs the same."""
        return cls(lambda _: flops, lambda _: 0)

    def step(self, step: int) -> int:
        """FLOPs of one step."""
        size = self.size(step)
        if size not in self.by_size:
            self.by_size[size] = self.count(step)
        return self.by_size[size]

    def upto(self, num_steps: int) -> int:
        """FLOPs of the first steps together."""
        while len(self.spent) <= num_steps:
            self.spent.append(self.spent[-1] + self.step(len(self.spent) - 1))
        return self.spent[num_steps]

    def affordable(self, flops: float) -> int:
        """How many steps so many FLOPs buy; 0 if steps cost nothing."""
        num_steps = 0
        while self.step(num_steps) and self.upto(num_steps + 1) <= flops:
            num_steps += 1
        return num_steps
