"""Columns of rows as content: pictures and sounds to be decoded, and texts."""

import hashlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from trivium.data.config import image_shape, plain_option, sound_settings
from trivium.data.errors import DataError
from trivium.data.formats.media import decode_pictures, decode_sounds
from trivium.data.formats.tables import captions, encoded_or_path, is_empty, read_text
from trivium.data.listing import Opened, column_values
from trivium.data.parsing import audio_part, image_part
from trivium.data.paths import below
from trivium.data.writer import Parsed
from trivium.types import Modality

LACKS, BROKEN = -1, -2
"""In place of a row of a part: there is none, or it could not be decoded."""


class MediaColumn:
    """Iterates over the pictures or sounds of a column as (name, file or bytes).

    Args:
        opened: The rows.
        column: Its name.
        folder: What paths must not leave.
        marks: Of each row: what else must be equal for two rows to share something; None for a
            row that is passed over.
        share: Whether equal bytes are one, and cells may be empty.
    """

    def __init__(
        self,
        opened: Sequence[Opened],
        column: str,
        folder: Path,
        marks: Sequence[Hashable | None],
        *,
        share: bool = False,
    ) -> None:
        self.opened, self.column, self.folder = opened, column, folder
        self.marks, self.share = marks, share
        self.sums: list[str | None] = [None] * len(marks)
        """Sha256 of what each row has, where equal ones are one; known after iterating."""
        self._distinct: dict[Hashable, int] = {}
        self._rows = np.full(len(marks), LACKS, np.int64)

    def __iter__(self) -> Iterator[tuple[str, Path | bytes]]:
        row = -1
        for one in self.opened:
            for place, value in enumerate(one.rows.values(self.column)):
                row += 1
                if self.marks[row] is None or (self.share and is_empty(value)):
                    continue
                name, source = self._source(value, f"{one.rows.name}, row {place}", one.base)
                known = len(self._distinct)
                self._rows[row] = self._distinct.setdefault(self._key(row, source), known)
                if len(self._distinct) > known:
                    yield name, source
        if not self._distinct:
            raise DataError(f"{self.opened[0].rows.name}: column {self.column!r} is always empty")

    @property
    def num_distinct(self) -> int:
        """How many different ones there are, known after iterating."""
        return len(self._distinct)

    def rows(self, good: np.ndarray) -> np.ndarray:
        """What each row of the tables names: a row of what was decoded, -1 nothing, -2 broken.

        Args:
            good: Which of the distinct ones could be decoded.
        """
        whole = good[np.maximum(self._rows, 0)]
        return np.where((self._rows >= 0) & ~whole, BROKEN, self._rows)

    def _key(self, row: int, source: Path | bytes) -> Hashable:
        if not self.share:
            return row
        content = source
        if isinstance(source, Path):
            content = source.read_bytes() if source.is_file() else str(source).encode()
        self.sums[row] = hashlib.sha256(cast(bytes, content)).hexdigest()
        return (self.marks[row], self.sums[row])

    def _source(self, value: object, name: str, base: Path) -> tuple[str, Path | bytes]:
        """A cell's name for messages and its content; a path as seen from its table or `folder`."""
        found = encoded_or_path(value)
        if isinstance(found, Path):
            return str(found), found
        if isinstance(found, bytes):
            told = value.get("path") if isinstance(value, dict) else None
            return f"{name}, {told}" if told else name, found
        if found is None:
            raise DataError(f"{name}: column {self.column!r} holds no file, but {type(value)}")
        near = below(self.folder, found, name, base)
        path = near if near.is_file() else below(self.folder, found, name)
        return f"{name}, {found}", path


def decode_column(
    column: MediaColumn, modality: Modality, config: Mapping[str, Any], scratch: Path
) -> tuple[Parsed, np.ndarray]:
    """The pictures or sounds of a column, and which of them could be decoded."""
    on_error, total = plain_option(config, "on_error", ("raise", "skip")), len(column.marks)
    if modality == "image":
        pictures, good = decode_pictures(column, total, image_shape(config), scratch, on_error)
        return image_part(pictures[: column.num_distinct]), good
    settings, _ = sound_settings(config)
    clips = decode_sounds(column, total, settings.rate, scratch, on_error)
    return audio_part(clips, config), clips.good


def joined_texts(opened: Sequence[Opened], columns: Sequence[str]) -> list[str]:
    """The texts of each row, joined by line breaks; a file's own text."""
    parts = []
    for column in columns:
        values = [read_text(v) if isinstance(v, Path) else v for v in column_values(opened, column)]
        odd = next((v for v in values if v is not None and not isinstance(v, str)), None)
        if odd is not None:
            where = opened[0].rows.name
            raise DataError(f"{where}: column {column!r} holds {odd!r:.60}, which is no text")
        parts.append(cast(list[str | None], values))
    return ["\n".join(value for value in row if value) for row in zip(*parts, strict=True)]


def captions_of_rows(opened: Sequence[Opened], columns: Sequence[str]) -> list[list[str]]:
    """The captions of each row of all files, out of one column or several."""
    found: list[list[str]] = []
    for one in opened:
        cells = zip(*(one.rows.values(column) for column in columns), strict=True)
        for row, of_row in enumerate(cells):
            name = f"{one.rows.name}, row {row}: column"
            pairs = zip(columns, of_row, strict=True)
            found.append([text for c, cell in pairs for text in captions(cell, f"{name} {c!r}")])
    return found
