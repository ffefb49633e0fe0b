"""The journal of a run: everything that was logged, on disk before it is sent anywhere."""

import json
import logging
import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

Entry = dict[str, Any]
FILE = "tracking.jsonl"
STATE = "tracking.state.json"
PENDING = "tracking.pending"


class Journal:
    """An append-only file of json lines in a run's folder, and how far it has been delivered.

    One entry is one thing to tell the tracking store (see `delivery`). A process that is killed
    loses nothing that it appended; a second one goes on where delivery stopped.
    """

    def __init__(self, folder: Path) -> None:
        """Open the journal of a run's folder, or begin one."""
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / FILE
        self._lock = threading.RLock()
        self._unwritten: list[bytes] = []
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        weakref.finalize(self, os.close, self._file)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")  # a power cut tore the last line: skip it, go on after it
        self.state = self._read_state()

    @property
    def run_id(self) -> str | None:
        """The MLflow run that the entries belong to; None until the store answered once."""
        return str(self.state["run_id"]) if self.state.get("run_id") else None

    @property
    def delivered(self) -> int:
        """Bytes of the journal that the tracking store has confirmed."""
        return int(self.state.get("delivered", 0))

    @property
    def complete(self) -> bool:
        """Whether everything was delivered."""
        with self._lock:
            return not self._unwritten and self.delivered >= os.fstat(self._file).st_size

    def append(self, entry: Entry) -> None:
        """Write one entry; on a full disk keep it in memory and try again with the next one."""
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            self._unwritten.append(line)
            self._write()

    def _write(self) -> None:
        size = os.fstat(self._file).st_size
        lines = b"".join(self._unwritten)
        try:
            written = os.write(self._file, lines)
        except OSError as error:
            written = 0
            if len(self._unwritten) == 1:
                log.warning("cannot write %s (%s); kept in memory for now", self.path, error)
        if written == len(lines):
            self._unwritten.clear()
        elif written:
            os.ftruncate(self._file, size)

    def read(self, start: int = 0) -> Iterator[tuple[Entry, int]]:
        """Entries with the offset behind each, from a byte offset on; torn lines are skipped."""
        with self.path.open("rb") as file:
            file.seek(start)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                start += len(line)
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict):
                    yield entry, start

    def update(self, **state: str | int) -> None:
        """Remember facts about delivery (`run_id`, `delivered`), atomically."""
        with self._lock:
            self.state |= state
            temporary = self.folder / f"{STATE}.{os.getpid()}"
            temporary.write_text(json.dumps(self.state))
            temporary.replace(self.folder / STATE)

    def _read_state(self) -> Entry:
        file = self.folder / STATE
        try:
            state = json.loads(file.read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            log.warning("%s is damaged; everything in the journal is sent again", file)
            return {}
        return state if isinstance(state, dict) else {}
