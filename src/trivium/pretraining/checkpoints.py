"""The state for an exact resume: written atomically, now and then."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and renames, so that a kill leaves the old checkpoint or the new."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any | None = None,
    ) -> None:
        """Write the checkpoint."""
        target = Path(path)
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            super().save_checkpoint(checkpoint, beside, storage_options)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)


class Resumable(lightning.Callback):
    """Saves the state for an exact resume every so many seconds or steps; place it last.

    `run_id` is the tracker's, kept inside of the checkpoint. At the end of training the file is
    no longer needed: the encoder is exported instead.
    """

    def __init__(
        self, *, path: Path, seconds: float, steps: int | None, run_id: str | None
    ) -> None:
        self.path = path
        self.seconds = seconds
        self.steps = steps
        self.run_id = run_id
        self._saved = time.monotonic()

    def state_dict(self) -> Mapping[str, Any]:  # type: ignore[override]
        """The tracker's run."""
        return {"run_id": self.run_id}

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save if it is time."""
        due = self.steps is not None and trainer.global_step % self.steps == 0
        if due or (self.steps is None and time.monotonic() - self._saved >= self.seconds):
            trainer.save_checkpoint(self.path, weights_only=False)
            self._saved = time.monotonic()


def saved_progress(path: Path) -> tuple[int, str | None]:
    """Step and tracker run of a checkpoint."""
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    callbacks = state["callbacks"]
    return int(state["global_step"]), callbacks.get("Resumable", {}).get("run_id")
