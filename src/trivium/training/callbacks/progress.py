"""A progress bar on a terminal, a line now and then elsewhere."""

import os
import sys
import time
from typing import Any

import pytorch_lightning as lightning
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trivium.training.module import TrainingModule

SECONDS_BETWEEN_LINES = 10.0


class ProgressBar(lightning.Callback):
    """Shows step, samples per second, remaining time and the last recorded loss.

    `TRIVIUM_PROGRESS=lines` in the environment chooses lines on a terminal, too: several runs at
    once cannot share one bar.
    """

    def __init__(self, *, label: str, batch_size: int) -> None:
        self.label = label
        self.batch_size = batch_size
        self.bar: Progress | None = None
        self.task: Any = None
        self.started = self.shown = 0.0
        self.first_step = 0

    def on_train_start(  # type: ignore[override]
        self, trainer: lightning.Trainer, module: TrainingModule
    ) -> None:
        """Open the bar where the run stands."""
        self.started = self.shown = time.monotonic()
        self.first_step = trainer.global_step
        lines = os.environ.get("TRIVIUM_PROGRESS") == "lines" or not sys.stderr.isatty()
        if lines or not trainer.is_global_zero:
            return
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]:.0f} samples/s"),
            TimeRemainingColumn(),
            TextColumn("loss {task.fields[loss]:.4f}"),
            console=Console(stderr=True),
        )
        self.bar.start()
        self.task = self.bar.add_task(
            self.label, total=module.num_steps, completed=self.first_step, speed=0.0, loss=0.0
        )

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: lightning.Trainer, module: TrainingModule, outputs: Any, *_: Any
    ) -> None:
        """Show the state twice a second on a terminal, every ten seconds elsewhere."""
        now, step = time.monotonic(), trainer.global_step
        pause = 0.5 if self.bar else SECONDS_BETWEEN_LINES
        if now - self.shown < pause or not trainer.is_global_zero:
            return
        self.shown = now
        speed = (step - self.first_step) * self.batch_size / (now - self.started)
        loss = float(outputs["loss"])
        if self.bar:
            self.bar.update(self.task, completed=step, speed=speed, loss=loss)
            return
        share = module.progress
        left = (1 - share) / share * (now - self.started) if share else 0.0
        print(
            f"{self.label}: step {step}/{module.num_steps or '?'} ({share:.0%}), "
            f"{speed:.0f} samples/s, about {left:.0f} s left, loss {loss:.4f}",
            flush=True,
        )

    def on_train_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Close the bar at its end."""
        if self.bar:
            self.bar.update(self.task, completed=trainer.global_step)
            self.bar.stop()

    def on_exception(self, *_: Any) -> None:
        """Give the terminal back."""
        if self.bar:
            self.bar.stop()
