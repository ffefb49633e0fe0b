"""Files below a folder from outside."""

from collections.abc import Collection
from pathlib import Path

from trivium.data.errors import DataError


def visible_files(folder: Path, suffixes: Collection[str] = ()) -> list[Path]:
    """The files below a folder, of some suffixes or all, by path; nothing hidden."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if (not suffixes or path.suffix.lower() in suffixes)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    ]


def locate(folder: Path, name: str) -> Path:
    """The shallowest file called `name` (a file name, or the end of a path).

    Raises:
        DataError: there is none.
    """
    found = sorted(folder.rglob(name), key=lambda p: (len(p.parts), p))
    if not found:
        raise DataError(f"{folder}: expected a file {name} in it; is this the right archive?")
    return found[0]


def below(folder: Path, path: str, name: str, base: Path | None = None) -> Path:
    """A path that data from outside name, as seen from `base` (by default `folder`).

    Raises:
        DataError: it leaves `folder`; `name` says who named it.
    """
    whole = (base or folder) / path
    if not whole.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{name}: {path} lies outside of {folder}")
    return whole
