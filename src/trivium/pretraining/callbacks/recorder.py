"""What a run measured of itself: terms and learning rate against the budget."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as lightning
from torch import Tensor

from trivium.pretraining.module import Pretraining, Step
from trivium.pretraining.price import Price
from trivium.tracking import names
from trivium.tracking.writer import RunWriter

NUM_POINTS = 200
"""Most points that a curve keeps."""


class Recorder(lightning.Callback):
    """Reads the terms every few steps, keeps their curves, and hands them to the tracker.

    A curve holds at most 200 points evenly spread over the steps; between them nothing is moved
    off the device. The curves are part of the checkpoint, so a resumed run keeps them.
    `price`, `samples_per_step` and `tokens` (of each step; None if there is no text) turn steps
    into the other currencies.

    Raises:
        FloatingPointError: at the first recorded loss that is not finite.
    """

    def __init__(
        self,
        *,
        every: int,
        price: Price,
        samples_per_step: int,
        writer: RunWriter | None,
        tokens: Callable[[int], int] | None = None,
    ) -> None:
        self.every = every
        self.price = price
        self.samples_per_step = samples_per_step
        self.tokens = None if tokens is None else Price(tokens, lambda step: step)
        self.writer = writer
        self.steps: list[int] = []
        self.terms: dict[str, list[float]] = {}

    def curves(self) -> dict[str, Any]:
        """Steps, FLOPs, samples (and tokens of text), and every term's values at them."""
        curves = {
            "step": self.steps,
            "flops": [self.price.upto(step) for step in self.steps],
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

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Step,
        batch_idx: int,
    ) -> None:
        """Record every few steps, and at the last."""
        assert isinstance(pl_module, Pretraining)
        step = trainer.global_step
        if step % self.every and step != pl_module.num_steps:
            return
        values = {name: float(term) for name, term in outputs.items() if isinstance(term, Tensor)}
        self.steps.append(step)
        for name, value in values.items():
            self.terms.setdefault(name, []).append(value)
        if values["loss"] != values["loss"] or abs(values["loss"]) == float("inf"):
            raise FloatingPointError(
                f"The loss of {type(pl_module.objective).__name__} is {values['loss']} at step "
                f"{step}: lower optimizer.lr, clip gradients (trainer.gradient_clip) or use "
                "trainer.precision=32-true."
            )
        if self.writer is not None and trainer.is_global_zero:
            tracked = {names.train(name): value for name, value in values.items()}
            tracked[names.LEARNING_RATE] = trainer.optimizers[0].param_groups[0]["lr"]
            tracked[names.FLOPS] = float(self.price.upto(step))
            tracked[names.SAMPLES] = float(step * self.samples_per_step)
            if self.tokens is not None:
                tracked[names.TOKENS] = float(self.tokens.upto(step))
            self.writer.log_metrics(tracked, step)
