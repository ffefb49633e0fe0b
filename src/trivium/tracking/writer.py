"""Writes one run: each call costs a line on disk, a thread tells MLflow every two seconds."""

import atexit
import logging
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np

from trivium.tracking import names
from trivium.tracking.client import journal_root
from trivium.tracking.delivery import deliver
from trivium.tracking.journal import PENDING, Journal

log = logging.getLogger(__name__)

Status = Literal["FINISHED", "FAILED", "KILLED"]
FLUSH_SECONDS = 2.0
PATIENCE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 60.0


class RunWriter:
    """Logs metrics, parameters, pictures and files of one MLflow run without ever stopping it.

    Every call appends to the journal in the run's folder and returns. A background thread
    delivers the journal; while the tracking store is dead it keeps trying, and what is left at
    the end is delivered by the next writer of that folder or by `send_spool`.

    Not for several processes at once: on several ranks, rank 0 writes.
    """

    def __init__(self, journal: Journal, *, owner: bool, interval: float = FLUSH_SECONDS) -> None:
        """Begin to deliver a journal.

        Args:
            journal: where the run's entries go first.
            owner: whether `finish` may end the run, or only stop writing to it.
            interval: seconds between deliveries.
        """
        self.journal = journal
        self.owner = owner
        self.interval = interval
        self._floor: dict[str, int] = {}
        self._restored = -1
        self._closed = False
        self._attempts = self._failures = 0
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()
        atexit.register(self._abandon)

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run; None while the store has not answered even once."""
        return self.journal.run_id

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Log numbers by a name of `trivium.tracking.names` at the optimiser step of the encoder.

        Points that a resumed run already has are dropped.
        """
        values = {
            key: float(value)
            for key, value in metrics.items()
            if self._restored < 0 or step > self._floor.get(key, self._restored)
        }
        if values:
            self.journal.append({"metrics": values, "step": step, "time": now()})

    def log_params(self, params: Mapping[str, object]) -> None:
        """Log settings, nested ones with dotted names; the first value of a parameter stays."""
        self.journal.append({"params": {k: str(v) for k, v in flatten(params).items()}})

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set or replace tags of the run."""
        self.journal.append({"tags": {key: str(value) for key, value in tags.items()}})

    def describe(self, markdown: str) -> None:
        """Set the description that the UI shows at the top of the run."""
        self.set_tags({names.NOTE: markdown})

    def log_image(self, key: str, image: np.ndarray, step: int) -> None:
        """Log a picture; the pictures of one key become a slider over steps.

        Args:
            key: letters, digits, `_-. /`.
            image: [height, width, channel] with 1, 3 or 4 channels, or [height, width]; uint8, or
                float in [0, 1].
            step: the step that it shows.

        Raises:
            ValueError: if the array has another shape.
        """
        from PIL import Image

        if image.ndim == 3 and image.shape[2] == 1:
            image = image[:, :, 0]
        if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))):
            raise ValueError(
                f"a picture of shape {image.shape} was given to log_image({key!r}); expected "
                "[height, width, channel] with 1, 3 or 4 channels"
            )
        if image.dtype != np.uint8:
            image = (np.clip(np.nan_to_num(image), 0, 1) * 255 + 0.5).astype(np.uint8)
        file = self._pending() / f"{uuid.uuid4().hex}.png"
        Image.fromarray(image).save(file)
        self.journal.append({"image": file.name, "key": key, "step": step, "time": now()})

    def log_text(self, text: str, file: str) -> None:
        """Log a text as an artifact, e.g. `config.yaml` or `tables/summary.md`."""
        place = Path(file)
        to = None if place.parent == Path() else place.parent.as_posix()
        self._log_bytes(text.encode(), place.name, to)

    def log_file(self, path: Path, to: str | None = None) -> None:
        """Log a small file, as it is now, to a folder of the artifacts (by default their top)."""
        self._log_bytes(path.read_bytes(), path.name, to)

    def log_artifacts(self, folder: Path, to: str | None = None) -> None:
        """Log a folder of files; it must stay where it is until `finish` has returned.

        Args:
            folder: what is copied to the run's artifacts.
            to: the folder inside the artifacts; their top by default.

        Raises:
            NotADirectoryError: if there is no such folder.
        """
        folder = folder.resolve()
        if not folder.is_dir():
            raise NotADirectoryError(f"log_artifacts expects an existing folder, not {folder}")
        inside = folder.is_relative_to(self.journal.folder)
        name = folder.relative_to(self.journal.folder) if inside else folder
        self.journal.append({"folder": str(name), "to": to})

    def log_dataset(
        self, name: str, digest: str, source: str, *, context: str = "train", profile: str = "{}"
    ) -> None:
        """Log which data the run read.

        Args:
            name: the dataset's name.
            digest: its fingerprint; MLflow keeps 36 characters.
            source: where it came from (package and version, URL, folder).
            context: what the run did with it: train, probe, ...
            profile: facts such as counts, as json.
        """
        facts = {"name": name, "digest": digest, "source_type": "trivium", "source": source}
        self.journal.append({"dataset": {**facts, "profile": profile, "context": context}})

    def resume(self, step: int) -> None:
        """Go on from a checkpoint: later calls drop the points that the journal already holds.

        An exact resume computes the steps after the restored one again; those that were logged
        before the interruption are not logged twice. Points at or before it are dropped under any
        name.
        """
        self._restored = step
        for entry, _ in self.journal.read():
            for key in entry.get("metrics", ()):
                self._floor[key] = max(self._floor.get(key, step), entry["step"])

    def flush(self, timeout: float = PATIENCE_SECONDS) -> bool:
        """Deliver now, and wait so many seconds; whether everything has been delivered."""
        end, attempts = time.monotonic() + timeout, self._attempts
        while not self.journal.complete and time.monotonic() < end and self._thread.is_alive():
            self._wake.set()
            time.sleep(0.01)
            if self._failures and self._attempts > attempts:
                break
        return self.journal.complete

    def finish(self, status: Status = "FINISHED", timeout: float = PATIENCE_SECONDS) -> None:
        """End the run, deliver what is left and stop the thread; a second call does nothing.

        Nothing may be logged afterwards.

        Args:
            status: how the run ended; ignored by a writer that only appends to a finished run.
            timeout: seconds to wait for the tracking store; what is left stays in the journal.
        """
        if self._closed:
            return
        self._closed = True
        if self.owner:
            self.journal.append({"status": status, "time": now()})
        delivered = self.flush(timeout)
        self._wake.set()
        self._thread.join(1.0)
        atexit.unregister(self._abandon)
        if not delivered:
            log.warning(
                "tracking of run %s is incomplete; it is kept in %s: send it later with "
                "`python -m trivium.tracking.spool %s`",
                *(self.run_id, self.journal.path, self.journal.folder),
            )
        elif self.journal.folder.is_relative_to(journal_root()):
            shutil.rmtree(self.journal.folder, ignore_errors=True)

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        self.finish("FINISHED" if error is None else "KILLED" if stopped else "FAILED")

    def _pending(self) -> Path:
        folder = self.journal.folder / PENDING
        folder.mkdir(exist_ok=True)
        return folder

    def _log_bytes(self, content: bytes, name: str, to: str | None) -> None:
        file = self._pending() / uuid.uuid4().hex / name
        file.parent.mkdir()
        file.write_bytes(content)
        self.journal.append({"file": str(file.relative_to(self.journal.folder)), "to": to})

    def _abandon(self) -> None:
        self.finish("FAILED")

    def _work(self) -> None:
        while True:
            pause = min(self.interval * 2**self._failures, LONGEST_PAUSE_SECONDS)
            self._wake.wait(pause)
            self._wake.clear()
            if not self.journal.complete:
                self._deliver()
            if self._closed and (self.journal.complete or self._failures):
                return

    def _deliver(self) -> None:
        try:
            deliver(self.journal)
        except Exception as error:
            if not self._failures and not sys.is_finalizing():
                log.warning(
                    "tracking store unreachable (%s); the run goes on, its journal is kept in %s",
                    *(str(error).splitlines()[0][:200], self.journal.path),
                )
            self._failures = min(self._failures + 1, 10)
        else:
            self._failures = 0
        self._attempts += 1


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def flatten(nested: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested mappings as one, with dotted names such as `objective.temperature`."""
    flat: dict[str, object] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
