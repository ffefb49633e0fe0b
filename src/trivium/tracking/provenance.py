"""Where a run came from: host, process, user, code."""

import getpass
import os
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

import psutil

from trivium.tracking.location import project_root

CLOCK_SECONDS = 2.0


def provenance() -> dict[str, str]:
    """Tags that say which process of which code wrote a run.

    `host`, `pid` and `process_started` (seconds since 1970) identify the process for good: a
    process id alone is reused. `git_commit` is "unknown" outside of a git repository, and
    `git_dirty` tells whether tracked files differed from that commit.
    """
    started = psutil.Process().create_time()
    tags = {"host": socket.gethostname(), "pid": str(os.getpid()), "process_started": f"{started}"}
    revision, dirty = _git(project_root())
    tags |= {"git_commit": revision, "git_dirty": dirty, "mlflow.user": _user()}
    tags |= {"mlflow.source.name": Path(sys.argv[0]).name, "mlflow.source.type": "LOCAL"}
    if revision != "unknown":
        tags["mlflow.source.git.commit"] = revision
    return tags


def commit() -> str:
    """The project's git commit, or "unknown" outside of a repository."""
    return _git(project_root())[0]


def is_dead(tags: dict[str, str]) -> bool | None:
    """Whether the process that wrote these tags is gone; None if this host cannot know.

    Args:
        tags: a run's tags as `provenance` wrote them.
    """
    if tags.get("host") != socket.gethostname() or "pid" not in tags:
        return None
    try:
        process = psutil.Process(int(tags["pid"]))
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        started = float(tags.get("process_started", process.create_time()))
        return bool(abs(process.create_time() - started) > CLOCK_SECONDS)
    except psutil.NoSuchProcess:
        return True


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@cache
def _git(root: Path) -> tuple[str, str]:
    try:
        commit = _run_git(root, "rev-parse", "HEAD")
        changes = _run_git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return "unknown", "unknown"
    return commit, str(bool(changes)).lower()


def _run_git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout.strip()
