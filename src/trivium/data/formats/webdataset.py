"""Samples in the WebDataset layout: files of one stem are one sample, mostly within tar files."""

import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trivium.data.errors import DataError
from trivium.data.formats.media import SOUNDS
from trivium.data.unpack import Bounds

MEDIA = {
    "image": ("jpg", "jpeg", "png", "webp", "gif", "bmp"),
    "audio": tuple(sorted(suffix.removeprefix(".") for suffix in SOUNDS)),
}
"""Endings that the columns `image` and `audio` stand for."""
TEXTS = ("txt", "text", "caption")
"""Endings, and keys of `json`, that any column of these names (and `txt`) stands for."""
NUMBERS = ("cls", "index")
"""Endings of files that hold a whole number."""
LARGEST = 1 << 28
"""Bytes of a file; larger ones are refused before they are read."""


class Member(NamedTuple):
    """A file, or the part of a tar file that holds one."""

    path: Path
    name: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Its content.

        Raises:
            DataError: it is too large, or the tar file ends before it.
        """
        if self.size > LARGEST:
            raise DataError(f"{self.path}: {self.name} has {self.size} bytes, which are too many")
        with self.path.open("rb") as file:
            file.seek(self.offset)
            content = file.read(self.size)
        if len(content) < self.size:
            raise DataError(f"{self.path} ends within {self.name}: fetch it again")
        return content


class Samples:
    """Samples of some files; nothing is unpacked, and contents are read when they are asked for.

    The name of a file up to its first dot is the sample, the rest (in small letters) is its
    ending. Columns are: `image` and `audio`, whatever their endings; `text`, which is
    `SAMPLE.txt`, or the key `text` or `caption` of `SAMPLE.json`; each other ending; and the keys
    of `SAMPLE.json`. Python's `tarfile` is used: the library `datasets` refuses shards whose first
    samples differ in their endings, and reads all columns where one is asked for.
    """

    def __init__(self, name: str, members: Sequence[Member]) -> None:
        self.name = name
        found: dict[tuple[Path, str], dict[str, Member]] = {}
        for member in members:
            folder, _, last = member.name.rpartition("/")
            stem, _, ending = last.partition(".")
            place = member.path if member.path.suffix.lower() == ".tar" else member.path.parent
            of_sample = found.setdefault((place, f"{folder}/{stem}"), {})
            of_sample.setdefault(ending.lower(), member)
        self.samples = [*found.values()]
        self.num_rows = len(self.samples)

    def values(self, column: str) -> Iterator[Any]:
        """Of media: structs of `bytes` and `path`; else texts, numbers or values of the json.

        Raises:
            DataError: no sample has such a column, or a file is broken.
        """
        empty = True
        for members in self.samples:
            value = self._value(members, column)
            empty &= value is None
            yield value
        if empty:
            endings = sorted({ending for members in self.samples for ending in members})
            raise DataError(
                f"{self.name}: no sample has a column {column!r}; their files end in: "
                f"{', '.join(endings)}"
            )

    def class_names(self, column: str) -> None:  # noqa: ARG002
        """There are none."""
        return

    def _value(self, members: dict[str, Member], column: str) -> Any:
        names = MEDIA.get(column, TEXTS if column in TEXTS else (column,))
        for name in names:
            if name in members:
                return _content(members[name], name)
        if "json" not in members:
            return None
        described = _described(members["json"])
        return next((described[name] for name in names if described.get(name) is not None), None)


def _content(member: Member, ending: str) -> Any:
    content = member.read()
    if any(ending in endings for endings in MEDIA.values()):
        return {"bytes": content, "path": f"{member.path.name}/{member.name}"}
    try:
        text = content.decode("utf-8-sig").strip()
        return int(text) if ending in NUMBERS else text
    except ValueError as error:
        raise DataError(f"{member.path}: {member.name} is no text ({error})") from error


def _described(member: Member) -> dict[str, Any]:
    try:
        value = json.loads(member.read())
    except ValueError as error:
        raise DataError(f"{member.path}: {member.name} is no json ({error})") from error
    if not isinstance(value, dict):
        raise DataError(f"{member.path}: {member.name} holds no mapping")
    return value


def members_of(path: Path) -> list[Member]:
    """The regular files of a tar file, or a file itself; links and devices are passed over.

    Raises:
        DataError: it is no tar file, broken, or has too many members.
    """
    if path.suffix.lower() != ".tar":
        return [Member(path, path.name, 0, path.stat().st_size)]
    found = []
    try:
        with tarfile.open(path, "r:") as tar:
            for number, member in enumerate(tar):
                if number >= Bounds().max_members:
                    raise DataError(f"{path} has more than {Bounds().max_members} members")
                if member.isreg() and member.sparse is None:
                    found.append(Member(path, member.name, member.offset_data, member.size))
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{path} is no whole tar file ({error}): fetch it again") from error
    return found
