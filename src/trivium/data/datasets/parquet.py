"""One split of a parquet dataset: its files in order, columns read a few rows at a time."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trivium.data.errors import DataError

ROWS = 256


class Table:
    """The parquet files of one split, in the order of their names."""

    def __init__(self, name: str, files: list[Path]) -> None:
        import pyarrow.parquet  # type: ignore[import-untyped]

        self.name = name
        try:
            self.files = [pyarrow.parquet.ParquetFile(file) for file in files]
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{name}: {files[0].parent} holds a broken file ({error})") from error
        self.num_rows = sum(file.metadata.num_rows for file in self.files)

    def values(self, column: str) -> Iterator[Any]:
        """The column's values as Python objects.

        Raises:
            DataError: there is no such column, or a file is broken.
        """
        import pyarrow

        known = self.files[0].schema_arrow.names
        if column not in known:
            raise DataError(f"{self.name}: no column {column!r}; it has: {', '.join(known)}")
        try:
            for file in self.files:
                for batch in file.iter_batches(ROWS, columns=[column]):
                    yield from batch.column(0).to_pylist()
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{self.name}: column {column!r} is broken ({error})") from error

    def class_names(self, column: str) -> tuple[str, ...] | None:
        """Names of a class column, where the `datasets` library wrote them; else None."""
        text = (self.files[0].schema_arrow.metadata or {}).get(b"huggingface")
        features = json.loads(text).get("info", {}).get("features", {}) if text else {}
        names = features.get(column, {}).get("names")
        return tuple(names) if names else None


def open_table(folder: Path, names: Sequence[str]) -> Table:
    """The files of a split: those whose name or folder is, or begins with, one of `names`.

    Raises:
        DataError: there are none.
    """
    for name in names:
        files = [
            path
            for path in sorted(folder.rglob("*.parquet"))
            if path.stem.split("-")[0] == name or path.parent.name == name
        ]
        if files:
            return Table(f"{folder.name}, split {name}", files)
    found = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*.parquet"))][:5]
    raise DataError(f"{folder}: no parquet files of split {' or '.join(names)}; found {found}")


def class_ids(tables: list[Table], column: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class ids of all tables together, and the names.

    Integers are ids already (names from the file, else the numbers); words are sorted.

    Raises:
        DataError: values are missing, or neither integers nor words.
    """
    values = [value for table in tables for value in table.values(column)]
    names = tables[0].class_names(column)
    if all(isinstance(v, int) and v >= 0 for v in values):
        return np.array(values, np.int64), names or tuple(map(str, range(max(values) + 1)))
    if all(isinstance(v, str) for v in values):
        words, ids = np.unique(np.array(values), return_inverse=True)
        return ids.astype(np.int64), tuple(words.tolist())
    odd = next(v for v in values if not isinstance(v, str) and not (isinstance(v, int) and v >= 0))
    raise DataError(f"{tables[0].name}: column {column!r} holds {odd!r}, which is no class")
