"""How tracked runs begin, are resumed, found and ended, and where they came from."""

import getpass
import os
import signal
import socket
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import psutil

from trivium import hardware
from trivium.tracking import names
from trivium.tracking.client import EXPERIMENT, connect, database, journal_root
from trivium.tracking.environment import libraries, revision
from trivium.tracking.journal import FILE, PENDING, STATE, Journal
from trivium.tracking.query import runs_of
from trivium.tracking.writer import FLUSH_SECONDS, RunWriter, now

PARENT = "TRIVIUM_PARENT_RUN"
"""The environment variable with the id of the sweep that a process is in."""
CLOCK_SECONDS = 2.0
START_SECONDS = 120.0
SIGTERM_SECONDS = 10.0


def provenance() -> dict[str, str]:
    """Tags that say which process of which code wrote a run.

    `host`, `pid` and `process_started` (seconds since 1970) identify the process for good: a
    process id alone is reused. `git_commit` and `git_dirty` (whether tracked files differed from
    that commit) are "unknown" outside of a git repository; `torch` is its version and `cpu` the
    class of the CPU.
    """
    code = revision()
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    tags = {
        names.HOST: socket.gethostname(),
        names.PROCESS: str(os.getpid()),
        names.PROCESS_STARTED: str(psutil.Process().create_time()),
        names.COMMIT: commit(),
        names.DIRTY: "unknown" if code.dirty is None else str(code.dirty).lower(),
        names.TORCH: libraries().get("torch", "unknown"),
        names.CPU: hardware.cpu_class(),
        names.SOURCE: Path(sys.argv[0]).name,
        names.SOURCE_TYPE: "LOCAL",
        names.USER: user,
    }
    return tags | ({names.SOURCE_COMMIT: code.commit} if code.commit else {})


def commit() -> str:
    """The project's git commit, or "unknown" outside of a repository."""
    return revision().commit or "unknown"


def is_dead(tags: Mapping[str, str]) -> bool | None:
    """Whether the process that wrote a run's tags is gone; None if this host cannot know."""
    if tags.get(names.HOST) != socket.gethostname() or names.PROCESS not in tags:
        return None
    try:
        process = psutil.Process(int(tags[names.PROCESS]))
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        started = float(tags.get(names.PROCESS_STARTED, process.create_time()))
        return bool(abs(process.create_time() - started) > CLOCK_SECONDS)
    except psutil.NoSuchProcess:
        return True


def start_run(
    name: str,
    tags: Mapping[str, object],
    params: Mapping[str, object],
    parent: str | None = None,
    *,
    folder: Path | None = None,
    experiment: str = EXPERIMENT,
    interval: float = FLUSH_SECONDS,
) -> RunWriter:
    """Start a run; with a dead tracking store it starts in its journal alone.

    Args:
        name: the run's name in the UI.
        tags: what the run is (dataset, objective, seed, protocol, ...); the process and the
            commit are added.
        params: settings, nested or dotted.
        parent: id of the parent run; by default the one of the sweep that this process is in.
        folder: the run's folder, for its journal; a journal that another run left there is set
            aside to be sent later.
        experiment: the MLflow experiment.
        interval: seconds between deliveries to the tracking store.
    """
    parent = parent or os.environ.get(PARENT)
    all_tags = {key: str(value) for key, value in tags.items()} | provenance()
    if parent:
        all_tags[names.PARENT_RUN] = parent
    journal = _new_journal(folder)
    facts = {"name": name, "tags": all_tags, "experiment": experiment, "time": now()}
    journal.append({"start": facts})
    writer = RunWriter(journal, owner=True, interval=interval)
    if params:
        writer.log_params(params)
    writer.flush(START_SECONDS)
    return writer


def resume(
    run_id: str | None, step: int, *, folder: Path, interval: float = FLUSH_SECONDS
) -> RunWriter:
    """Go on with an interrupted run, without logging any point twice.

    Args:
        run_id: the id in the checkpoint; None if the store had not answered when it was written.
        step: the restored optimiser step.
        folder: the run's folder, which holds its journal.
        interval: seconds between deliveries to the tracking store.

    Raises:
        LookupError: if neither the checkpoint nor the folder knows the run.
    """
    journal = Journal(folder)
    if run_id and run_id != journal.run_id:
        if journal.run_id:
            journal = _new_journal(folder)
        journal.update(run_id=run_id)
    if not journal.run_id and not any("start" in entry for entry, _ in journal.read()):
        raise LookupError(f"no run to resume: {folder} has no journal; begin one with start_run")
    journal.append({"tags": provenance() | {names.RESUMED_AT: str(step)}})
    journal.append({"status": "RUNNING"})
    writer = RunWriter(journal, owner=True, interval=interval)
    writer.resume(step)
    return writer


def reopen(run_id: str) -> RunWriter:
    """A writer that appends to a run which has ended, and leaves its status as it is."""
    journal = _new_journal(None)
    journal.update(run_id=run_id)
    return RunWriter(journal, owner=False)


def find_run(tags: Mapping[str, object]) -> str | None:
    """The id of the newest finished run that has all these tags, or None.

    Args:
        tags: names and values, e.g. `{names.CHECKPOINT: HASH}`.
    """
    wanted = [names.tagged(key, value) for key, value in tags.items()]
    found = runs_of(" and ".join(["attributes.status = 'FINISHED'", *wanted]))
    newest = max(found, key=lambda run: int(run.info.end_time or 0), default=None)
    return None if newest is None else str(newest.info.run_id)


def reap() -> list[str]:
    """Mark the runs of this host whose process is gone as KILLED, and tell their ids.

    Runs of other hosts are left alone.
    """
    file = database()
    if file and not file.exists():
        return []
    running = runs_of("attributes.status = 'RUNNING'")
    dead = [str(run.info.run_id) for run in running if is_dead(run.data.tags)]
    for run_id in dead:
        connect().set_terminated(run_id, "KILLED")
    return dead


def install_sigterm(writer: RunWriter) -> None:
    """Make SIGTERM end the run of the writer as KILLED and the process with code 143.

    Call it before Lightning's `fit`, which calls an existing handler after its own; Lightning's
    alone lets the process end with code 0, and DVC would take that for success.
    """

    def handle(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would cut this short
        writer.finish("KILLED", timeout=SIGTERM_SECONDS)
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, handle)


def _new_journal(folder: Path | None) -> Journal:
    """An empty journal; that of an earlier run in the folder is deleted if sent, else set aside."""
    if folder is None:
        return Journal(journal_root() / uuid.uuid4().hex)
    if (folder / FILE).exists():
        complete = Journal(folder).complete
        kept = journal_root() / uuid.uuid4().hex
        if not complete:
            kept.mkdir(parents=True)
        for name in (FILE, STATE, PENDING):
            old = folder / name
            if complete and old.is_file():
                old.unlink()
            elif not complete and old.exists():
                old.rename(kept / name)
    return Journal(folder)
