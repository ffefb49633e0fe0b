"""How much a run may spend, counted in one of four currencies."""

import copy
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from trivium.pretraining.price import Price
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

    def num_steps(self, price: Price, *, samples_per_step: int) -> int | None:
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
