"""A progress bar on a terminal, a line now and then elsewhere."""

import os
import sys
import time
from typing import Any

import pytorch_lightning as lightning
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trivium.training.module import Pretraining

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
        self.started = 0.0
        self.first_step = 0
        self.shown = 0.0

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Open the bar where the run stands."""
        assert isinstance(pl_module, Pretraining)
        self.started = self.shown = time.monotonic()
        self.first_step = trainer.global_step
        alone = os.environ.get("TRIVIUM_PROGRESS") != "lines"
        if alone and sys.stderr.isatty() and trainer.is_global_zero:
            from rich.console import Console

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
                self.label,
                total=pl_module.num_steps,
                completed=self.first_step,
                speed=0.0,
                loss=0.0,
            )

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Show the state twice a second on a terminal, every ten seconds elsewhere."""
        now = time.monotonic()
        pause = 0.5 if self.bar else SECONDS_BETWEEN_LINES
        if now - self.shown < pause or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, Pretraining)
        self.shown = now
        speed = (trainer.global_step - self.first_step) * self.batch_size / (now - self.started)
        loss = float(outputs["loss"])
        if self.bar:
            self.bar.update(self.task, completed=trainer.global_step, speed=speed, loss=loss)
        else:
            share = pl_module.progress
            left = (1 - share) / share * (now - self.started) if share else 0.0
            print(
                f"{self.label}: step {trainer.global_step}/{pl_module.num_steps or '?'} "
                f"({share:.0%}), "
                f"{speed:.0f} samples/s, about {left:.0f} s left, loss {loss:.4f}",
                flush=True,
            )

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Close the bar at its end."""
        if self.bar:
            self.bar.update(self.task, completed=trainer.global_step)
            self.bar.stop()

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        """Give the terminal back."""
        if self.bar:
            self.bar.stop()
