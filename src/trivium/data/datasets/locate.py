"""Finding a file in an unpacked archive, whatever folder its packer put around it."""

from pathlib import Path

from trivium.data.errors import DataError


def locate(folder: Path, name: str) -> Path:
    """The shallowest file called `name` (a file name, or the end of a path).

    Raises:
        DataError: there is none.
    """
    found = sorted(folder.rglob(name), key=lambda p: (len(p.parts), p))
    if not found:
        raise DataError(f"{folder}: expected a file {name} in it; is this the right archive?")
    return found[0]
