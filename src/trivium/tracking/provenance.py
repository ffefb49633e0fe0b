"""Where a run came from: host, process, user, code."""

import getpass
import os
import socket
import sys
from pathlib import Path

import psutil

from trivium import hardware
from trivium.tracking import names
from trivium.tracking.environment import libraries, revision

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
