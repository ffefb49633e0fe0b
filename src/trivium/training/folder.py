"""The folder of a run: configuration, metrics, encoder, and the state for an exact resume."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import yaml
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from trivium.features import TOKENIZER
from trivium.identity import is_finished
from trivium.tracking import names
from trivium.tracking.writer import RunWriter


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

    def state_dict(self) -> dict[str, Any]:
        """The tracker's run."""
        return {"run_id": self.run_id}

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Save if it is time."""
        due = self.steps is not None and trainer.global_step % self.steps == 0
        if due or (self.steps is None and time.monotonic() - self._saved >= self.seconds):
            trainer.save_checkpoint(self.path, weights_only=False)
            self._saved = time.monotonic()


def saved_progress(path: Path) -> tuple[int, str | None]:
    """Step and tracker run of a checkpoint."""
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    return int(state["global_step"]), state["callbacks"]["Resumable"]["run_id"]


RESULTS = ("metrics.json", "curves.json", "cost.json", "looks.json", "environment.json")
"""What a report reads of a run, beside its pictures."""
PICTURES = "pictures"
EXPORTED = ("encoder.safetensors", "encoder.yaml", TOKENIZER)
"""What others need to use the encoder; the last of text alone."""


class RunFolder:
    """Where a run keeps its checkpoint, encoder, metrics, curves and pictures.

    `identity` names what the run computes: a checkpoint of another one is never resumed.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self.path = path
        self.identity = identity
        self.checkpoint = path / f"resume-{identity}.ckpt"

    @property
    def resumable(self) -> bool:
        """Whether an interrupted run of the same configuration left its state here."""
        return self.checkpoint.is_file()

    @property
    def finished(self) -> bool:
        """Whether a run of the same configuration ended here."""
        return is_finished(self.path, self.identity)

    def begin(self, config: Mapping[str, Any]) -> None:
        """Write the configuration and remove what other configurations left."""
        self.path.mkdir(parents=True, exist_ok=True)
        stale = [path for path in self.path.glob("resume-*.ckpt") if path != self.checkpoint]
        if not self.resumable:
            stale += [self.path / name for name in (*RESULTS, *EXPORTED)]
            stale += (self.path / PICTURES).glob("*-step*")
        for path in stale:
            path.unlink(missing_ok=True)
        text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
        (self.path / "config.yaml").write_text(text)

    def write_json(self, name: str, content: Any, *, compact: bool = False) -> None:
        """Write a result atomically; `compact` in one line."""
        layout: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 1}
        text = json.dumps(content, sort_keys=True, allow_nan=False, **layout)
        self.write_text(name, text + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a file atomically."""
        beside = self.path / f".{name}"
        beside.write_text(text, encoding="utf-8")
        beside.replace(self.path / name)

    def track(self, writer: RunWriter) -> None:
        """Hand to the tracker the encoder, and what a report reads, to be written from there."""
        for files, to in ((EXPORTED, names.ENCODER_FILES), (RESULTS, names.RUN_FILES)):
            for path in (self.path / name for name in files):
                if path.is_file():
                    writer.log_file(path, to=to)
        if (self.path / PICTURES).is_dir():
            writer.log_artifacts(self.path / PICTURES, to=f"{names.RUN_FILES}/{PICTURES}")
