"""What a run measures of itself: terms of the loss, learning rate, seconds, memory, data wait."""

import math
import platform
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as lightning
import torch
from torch import Tensor

from trivium.tracking import names
from trivium.tracking.writer import RunWriter
from trivium.training.budget import StepCost
from trivium.training.datamodule import StepBatches
from trivium.training.module import TrainingModule

NUM_POINTS = 200
"""Most points that a curve keeps."""


class Throughput(lightning.Callback):
    """Measures training alone: monitors, pictures and checkpoints stop its clock.

    Place it first among the callbacks: the clock runs from a batch's start to the first callback
    after its end, plus the waiting for data and the making of views before the start. On a CPU the
    peak of memory is the whole process's.
    """

    def __init__(self, *, stream: StepBatches, batch_size: int) -> None:
        self.stream = stream
        self.batch_size = batch_size
        self.seconds = self.waited = 0.0
        self.num_steps = 0
        self._started = self._prepared = 0.0
        self._device = "cpu"

    def state_dict(self) -> dict[str, Any]:
        """The clock so far."""
        return {"seconds": self.seconds, "waited": self.waited, "num_steps": self.num_steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's clock."""
        vars(self).update(state_dict)

    def on_train_start(  # type: ignore[override]
        self, trainer: lightning.Trainer, module: TrainingModule
    ) -> None:
        """Go on where a restored clock stood."""
        module.trained_seconds = self.seconds
        self._device = module.device.type
        if self._device == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def on_train_batch_start(self, *_: Any) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: lightning.Trainer, module: TrainingModule, *_: Any
    ) -> None:
        """Stop the clock and tell the module how long it has trained."""
        if self._device == "cuda":
            torch.cuda.synchronize()
        prepared = self.stream.waited + module.view_seconds
        waited, self._prepared = prepared - self._prepared, prepared
        self.waited += waited
        self.seconds += time.perf_counter() - self._started + waited
        self.num_steps += 1
        module.trained_seconds = self.seconds
        if module.num_steps is None and module.progress >= 1:
            trainer.should_stop = True

    def costs(self) -> dict[str, float | str]:
        """Seconds of training, samples per second, peak memory in MB, data-wait share, host."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        megabytes = peak / (1024**2 if sys.platform == "darwin" else 1024)
        if self._device == "cuda":
            megabytes = torch.cuda.max_memory_allocated() / 1024**2
        samples = self.num_steps * self.batch_size
        return {
            "seconds": self.seconds,
            "samples_per_second": samples / self.seconds if self.seconds else 0.0,
            "peak_memory_mb": megabytes,
            "data_wait_share": self.waited / self.seconds if self.seconds else 0.0,
            "host": platform.node(),
        }


class MetricLogger(lightning.Callback):
    """Reads the terms every few steps, keeps their curves, and hands them to the tracker.

    A curve holds at most 200 points evenly spread over the steps; between them nothing is moved
    off the device. The curves are part of the checkpoint, so a resumed run keeps them.
    `step_cost`, `samples_per_step` and `tokens` (of each step; None if there is no text) turn steps
    into FLOPs, samples and tokens.

    Raises:
        FloatingPointError: at the first recorded loss that is not finite.
    """

    def __init__(
        self,
        *,
        every: int,
        step_cost: StepCost,
        samples_per_step: int,
        writer: RunWriter | None,
        tokens: Callable[[int], int] | None = None,
    ) -> None:
        self.every = every
        self.step_cost = step_cost
        self.samples_per_step = samples_per_step
        self.tokens = None if tokens is None else StepCost(tokens, lambda step: step)
        self.writer = writer
        self.steps: list[int] = []
        self.terms: dict[str, list[float]] = {}

    def curves(self) -> dict[str, Any]:
        """Steps, FLOPs, samples (and tokens of text), and every term's values at them."""
        curves = {
            "step": self.steps,
            "flops": [self.step_cost.upto(step) for step in self.steps],
            "samples": [step * self.samples_per_step for step in self.steps],
            "terms": self.terms,
        }
        if self.tokens is not None:
            curves["tokens"] = [self.tokens.upto(step) for step in self.steps]
        return curves

    def state_dict(self) -> dict[str, Any]:
        """The curves so far."""
        return {"steps": list(self.steps), "terms": {k: list(v) for k, v in self.terms.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's curves."""
        self.steps, self.terms = state_dict["steps"], state_dict["terms"]

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: lightning.Trainer, module: TrainingModule, outputs: Any, *_: Any
    ) -> None:
        """Record every few steps, and at the last."""
        step = trainer.global_step
        if step % self.every and step != module.num_steps:
            return
        values = {name: float(term) for name, term in outputs.items() if isinstance(term, Tensor)}
        self.steps.append(step)
        for name, value in values.items():
            self.terms.setdefault(name, []).append(value)
        if not math.isfinite(values["loss"]):
            raise FloatingPointError(
                f"The loss of {type(module.objective).__name__} is {values['loss']} at step "
                f"{step}: lower optimizer.lr, clip gradients (trainer.gradient_clip) or use "
                "trainer.precision=32-true."
            )
        if self.writer is not None and trainer.is_global_zero:
            tracked = {names.train(name): value for name, value in values.items()}
            tracked[names.LEARNING_RATE] = trainer.optimizers[0].param_groups[0]["lr"]
            tracked[names.FLOPS] = float(self.step_cost.upto(step))
            tracked[names.SAMPLES] = float(step * self.samples_per_step)
            if self.tokens is not None:
                tracked[names.TOKENS] = float(self.tokens.upto(step))
            self.writer.log_metrics(tracked, step)
