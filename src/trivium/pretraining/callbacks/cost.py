"""The cost ledger of a run: seconds, peak memory, the share of time spent waiting for data."""

import platform
import resource
import sys
import time
from typing import Any

import pytorch_lightning as lightning
import torch

from trivium.pretraining.data import StepBatches
from trivium.pretraining.module import Pretraining


class Cost(lightning.Callback):
    """Measures training alone: monitors, pictures and checkpoints stop its clock.

    Place it first among the callbacks: the clock runs from a batch's start to the first callback
    after its end, plus the waiting for data and the making of views before the start. On a CPU the
    peak of memory is the whole process's.
    """

    def __init__(self, *, stream: StepBatches, batch_size: int) -> None:
        self.stream = stream
        self.batch_size = batch_size
        self.seconds = 0.0
        self.waited = 0.0
        self.num_steps = 0
        self._started = 0.0
        self._seen = 0.0
        self._device = "cpu"

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Go on where a restored clock stood."""
        assert isinstance(pl_module, Pretraining)
        pl_module.trained_seconds = self.seconds
        self._device = pl_module.device.type
        if self._device == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def state_dict(self) -> dict[str, Any]:
        """The clock so far."""
        return {"seconds": self.seconds, "waited": self.waited, "num_steps": self.num_steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's clock."""
        self.seconds = state_dict["seconds"]
        self.waited = state_dict["waited"]
        self.num_steps = state_dict["num_steps"]

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Stop the clock and tell the module how long it has trained."""
        assert isinstance(pl_module, Pretraining)
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()
        preparing = self.stream.waited + pl_module.view_seconds
        waited = preparing - self._seen
        self._seen = preparing
        self.waited += waited
        self.seconds += time.perf_counter() - self._started + waited
        self.num_steps += 1
        pl_module.trained_seconds = self.seconds
        if pl_module.num_steps is None and pl_module.progress >= 1:
            trainer.should_stop = True

    def ledger(self) -> dict[str, float | str]:
        """Seconds of training, samples per second, peak memory in MB, data-wait share, host."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        megabytes = peak / (1024**2 if sys.platform == "darwin" else 1024)
        if self._device == "cuda":
            megabytes = torch.cuda.max_memory_allocated() / 1024**2
        return {
            "seconds": self.seconds,
            "samples_per_second": self.num_steps * self.batch_size / self.seconds
            if self.seconds
            else 0.0,
            "peak_memory_mb": megabytes,
            "data_wait_share": self.waited / self.seconds if self.seconds else 0.0,
            "host": platform.node(),
        }
