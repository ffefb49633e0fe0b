"""How tracked runs begin, are resumed, found and ended, and where they came from."""

import getpass
import logging
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
from trivium.tracking.writer import FLUSH_SECONDS, RunWriter, now

CLOCK_SECONDS = 2.0


def provenance() -> dict[str, str]:
    """Tags that say which process of which code wrote a run.

    `host`, `pid` and `process_started` (seconds since 1970) identify the process for good: a
    process id alone is reused. `git_commit` and `git_dirty` (whether tracked files differed from
    that commit) are "unknown" outside of a git repository; `torch` is its version and `cpu` the
    class of the CPU.
    """
    started = psutil.Process().create_time()
    tags = {names.HOST: socket.gethostname(), names.PROCESS: str(os.getpid())}
    tags[names.PROCESS_STARTED] = f"{started}"
    code = revision()
    dirty = "unknown" if code.dirty is None else str(code.dirty).lower()
    tags |= {names.COMMIT: code.commit or "unknown", names.DIRTY: dirty}
    tags |= {names.TORCH: libraries().get("torch", "unknown"), names.CPU: hardware.cpu_class()}
    tags |= {names.SOURCE: Path(sys.argv[0]).name, names.SOURCE_TYPE: "LOCAL"}
    tags[names.USER] = _user()
    if code.commit:
        tags[names.SOURCE_COMMIT] = code.commit
    return tags


def commit() -> str:
    """The project's git commit, or "unknown" outside of a repository."""
    return revision().commit or "unknown"


def is_dead(tags: dict[str, str]) -> bool | None:
    """Whether the process that wrote these tags is gone; None if this host cannot know.

    Args:
        tags: a run's tags as `provenance` wrote them.
    """
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


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


log = logging.getLogger(__name__)

PARENT = "TRIVIUM_PARENT_RUN"
START_SECONDS = 120.0
SIGTERM_SECONDS = 10.0
PAGE = 1000


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
    folder = folder or journal_root() / uuid.uuid4().hex
    _set_aside(folder)
    parent = parent or os.environ.get(PARENT)
    all_tags = {key: str(value) for key, value in tags.items()} | provenance()
    if parent:
        all_tags[names.PARENT_RUN] = parent
    journal = Journal(folder)
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
            _set_aside(folder)
            journal = Journal(folder)
        journal.update(run_id=run_id)
    if not journal.run_id and not any("start" in entry for entry, _ in journal.read()):
        raise LookupError(f"no run to resume: {folder} has no journal; begin one with start_run")
    journal.append({"tags": provenance() | {names.RESUMED_AT: str(step)}})
    journal.append({"status": "RUNNING"})
    writer = RunWriter(journal, owner=True, interval=interval)
    writer.resume(step)
    return writer


def reopen(run_id: str, *, folder: Path | None = None) -> RunWriter:
    """A writer that appends to a run which has ended, and leaves its status as it is.

    Args:
        run_id: the run, e.g. from `find_run`.
        folder: where the journal of these additions lies.
    """
    folder = folder or journal_root() / uuid.uuid4().hex
    _set_aside(folder)
    journal = Journal(folder)
    journal.update(run_id=run_id)
    return RunWriter(journal, owner=False)


def find_run(tags: Mapping[str, object]) -> str | None:
    """The id of the newest finished run that has all these tags, or None.

    Args:
        tags: names and values, e.g. `{names.CHECKPOINT: HASH}`.
    """
    from mlflow.entities import ViewType

    client = connect()
    wanted = [names.tagged(key, value) for key, value in tags.items()]
    found = client.search_runs(
        [item.experiment_id for item in client.search_experiments()],
        " and ".join(["attributes.status = 'FINISHED'", *wanted]),
        run_view_type=ViewType.ACTIVE_ONLY,
        max_results=1,
        order_by=["attributes.end_time DESC"],
    )
    return str(found[0].info.run_id) if found else None


def reap() -> list[str]:
    """Mark the runs of this host whose process is gone as KILLED.

    Returns:
        The ids of those runs. Runs of other hosts are left alone.
    """
    file = database()
    if file and not file.exists():
        return []
    client = connect()
    experiments = [item.experiment_id for item in client.search_experiments()]
    running = client.search_runs(experiments, "attributes.status = 'RUNNING'", max_results=PAGE)
    dead = [run.info.run_id for run in running if is_dead(run.data.tags)]
    for run_id in dead:
        client.set_terminated(run_id, "KILLED")
    return dead


def install_sigterm(writer: RunWriter) -> None:
    """Make SIGTERM end the run as KILLED and the process with code 143.

    Call it before Lightning's `fit`, which calls an existing handler after its own; Lightning's
    alone lets the process end with code 0, and DVC would take that for success.

    Args:
        writer: the run that ends.
    """

    def handle(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would cut this short
        writer.finish("KILLED", timeout=SIGTERM_SECONDS)
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, handle)


def _set_aside(folder: Path) -> None:
    """Move the journal of an earlier run out of a folder: deleted if sent, kept if not."""
    if not (folder / FILE).exists():
        return
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
