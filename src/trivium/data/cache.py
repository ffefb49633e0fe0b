"""The per-user cache of fetched archives, and checksums of files and folders."""

import hashlib
import os
import shutil
import uuid
import warnings
from pathlib import Path

import platformdirs

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


def cache_folder() -> Path:
    """`TRIVIUM_CACHE` if it is set, else the user's cache folder of this platform."""
    chosen = os.environ.get("TRIVIUM_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("trivium"))


def cached(key: str) -> Path | None:
    """The cached archive or folder of that key, if there is one."""
    path = cache_folder() / key
    return path if path.exists() else None


def place(fetched: Path, key: str) -> Path:
    """Move a fetched archive or folder into the cache; it appears there whole or not at all.

    Where two processes place the same key, the first one wins for folders.
    """
    target = cache_folder() / key
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        shutil.move(fetched, temporary)
        if temporary.is_dir() and target.exists():
            return target
        temporary.replace(target)
    finally:
        discard(temporary)
    return target


def discard(path: Path) -> None:
    """Remove a file or folder if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
