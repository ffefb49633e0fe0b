"""A column of pictures or sounds: each once, and which rows name it."""

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path

import numpy as np

from trivium.data.datasets.cells import encoded_or_path, is_empty
from trivium.data.datasets.locate import below
from trivium.data.datasets.mediarows import Opened
from trivium.data.errors import DataError

LACKS, BROKEN = -1, -2


class MediaColumn:
    """Iterates over the distinct pictures or sounds of a column as (name, file or bytes).

    Args:
        opened: The rows.
        column: Its name.
        folder: What paths must not leave.
        marks: Of each row: what else must be equal for two rows to share something; None for a
            row that is passed over.
    """

    def __init__(
        self,
        opened: Sequence[Opened],
        column: str,
        folder: Path,
        marks: Sequence[Hashable | None],
    ) -> None:
        self.opened = opened
        self.column = column
        self.folder = folder
        self.marks = marks
        self.sums: list[str | None] = [None] * len(marks)
        """Sha256 of what each row has; known once all was iterated over."""
        self._distinct: dict[Hashable, int] = {}
        self._rows = np.full(len(marks), LACKS, np.int64)

    def __iter__(self) -> Iterator[tuple[str, Path | bytes]]:
        row = 0
        for one in self.opened:
            for number, value in enumerate(one.rows.values(self.column)):
                mark, row = self.marks[row], row + 1
                if mark is not None and not is_empty(value):
                    yield from self._new(
                        value, f"{one.rows.name}, row {number}", one, row - 1, mark
                    )
        if not self._distinct:
            raise DataError(f"{self.opened[0].rows.name}: column {self.column!r} is always empty")

    def rows(self, good: np.ndarray) -> np.ndarray:
        """What each row of the tables names: a row of what was decoded, -1 nothing, -2 broken.

        Args:
            good: Which of the distinct ones could be decoded.
        """
        whole = good[np.maximum(self._rows, 0)]
        return np.where((self._rows >= 0) & ~whole, BROKEN, self._rows)

    @property
    def num_distinct(self) -> int:
        """How many different ones there are."""
        return len(self._distinct)

    def _new(
        self, value: object, name: str, one: Opened, row: int, mark: Hashable
    ) -> Iterator[tuple[str, Path | bytes]]:
        found = encoded_or_path(value)
        if found is None:
            raise DataError(f"{name}: column {self.column!r} holds no file, but {type(value)}")
        source: Path | bytes
        if isinstance(found, str):
            name, source = f"{name}, {found}", self._file(found, name, one.base)
            content = source.read_bytes() if source.is_file() else found.encode()
        else:
            told = value.get("path") if isinstance(value, dict) else None
            name, source, content = f"{name}, {told}" if told else name, found, found
        self.sums[row] = hashlib.sha256(content).hexdigest()
        key = (mark, self.sums[row])
        known = key in self._distinct
        self._rows[row] = self._distinct.setdefault(key, len(self._distinct))
        if not known:
            yield name, source

    def _file(self, path: str, name: str, base: Path) -> Path:
        """A path as seen from its table, or else from the whole folder."""
        near = below(self.folder, path, name, base)
        return near if near.is_file() else below(self.folder, path, name)
