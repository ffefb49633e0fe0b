"""The per-user cache of fetched archives."""

import os
import shutil
import uuid
from pathlib import Path

import platformdirs


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
