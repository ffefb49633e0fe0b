"""Sums of files and folders."""

import hashlib
import warnings
from pathlib import Path

from trivium.data.errors import ChecksumWarning


def file_sum(path: Path) -> str:
    """Sha256 of a file's bytes, as hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content_sum(path: Path) -> str:
    """Sha256 of a file, or of a folder: over the names and sums of all files in it, sorted."""
    if path.is_file():
        return file_sum(path)
    whole = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        whole.update(f"{file.relative_to(path).as_posix()}\0{file_sum(file)}\n".encode())
    return whole.hexdigest()


def warn_of_sum(what: str, actual: str, recorded: str | None) -> None:
    """Warn if no sum is recorded for an archive that opened, or if it has another one.

    A registry may pack the same files anew, so another sum alone is no error.
    """
    if recorded is None:
        text = f"{what}: no sha256 is recorded for it; this copy has {actual}"
    elif recorded != actual:
        text = f"{what}: sha256 {actual} is not the recorded {recorded}; it opens and is used"
    else:
        return
    warnings.warn(text, ChecksumWarning, stacklevel=2)
