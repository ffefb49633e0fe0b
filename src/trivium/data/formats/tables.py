"""Rows with named columns, out of parquet, csv and json files."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from trivium.data.errors import DataError

BATCH = 256
"""Rows of a parquet file that are in memory at once."""
LINES = (".jsonl", ".ndjson")
LISTS = (".csv", ".tsv", *LINES)
"""Suffixes of tables that are read whole."""


@runtime_checkable
class Rows(Protocol):
    """Rows with named columns, whatever kind of file they lie in."""

    name: str
    num_rows: int

    def values(self, column: str) -> Iterator[Any]:
        """The column's values as Python objects; a `DataError` if there is none."""

    def class_names(self, column: str) -> tuple[str, ...] | None:
        """Names of a class column, where the file has them."""


class Parquet:
    """A parquet file, streamed by the library `datasets`; pictures and sounds stay encoded.

    Args:
        path: The file.
        scratch: Where the library keeps its locks.

    Raises:
        DataError: the file is broken.
    """

    def __init__(self, path: Path, scratch: Path) -> None:
        import datasets
        import pyarrow.parquet  # type: ignore[import-untyped]

        self.name, self.path, self.scratch = path.name, path, scratch
        try:
            self.num_rows = pyarrow.parquet.read_metadata(path).num_rows
            stream = datasets.IterableDataset.from_parquet(str(path), cache_dir=str(scratch))
            self.features = stream.features
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{path} is a broken file ({error}): fetch it again") from error

    def values(self, column: str) -> Iterator[Any]:
        """The column's values as Python objects.

        Raises:
            DataError: there is no such column, or the file is broken.
        """
        import datasets
        import pyarrow

        _check_column(self.name, column, self.features)
        stream = datasets.IterableDataset.from_parquet(
            str(self.path), columns=[column], batch_size=BATCH, cache_dir=str(self.scratch)
        )
        try:
            for table in stream.with_format("arrow").iter(BATCH):
                yield from table.column(0).to_pylist()
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{self.name}: column {column!r} is broken ({error})") from error

    def class_names(self, column: str) -> tuple[str, ...] | None:
        """Names of a `ClassLabel` column."""
        names = getattr(self.features.get(column), "names", None)
        return tuple(names) if names else None


class Listed:
    """Rows in memory.

    Args:
        name: What to call them in messages.
        columns: Values by column, all of one length.
        num_rows: That length.
        names: Names of class columns.
    """

    def __init__(
        self,
        name: str,
        columns: Mapping[str, Sequence[Any]],
        num_rows: int,
        names: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.name = name
        self.columns = columns
        self.num_rows = num_rows
        self.names = names or {}

    def values(self, column: str) -> Iterator[Any]:
        """The column's values; None where a cell is empty.

        Raises:
            DataError: there is no such column.
        """
        _check_column(self.name, column, self.columns)
        yield from self.columns[column]

    def class_names(self, column: str) -> tuple[str, ...] | None:
        """Names of a class column."""
        return self.names.get(column) or None


def read_table(path: Path, texts: Sequence[str], scratch: Path) -> Rows:
    """A table by its suffix: parquet, csv, tsv, json (a list) or jsonl.

    Not all are read by the library `datasets`: csv because pandas takes surplus cells for an index
    without a word, json because the library turns dates into times and mixed cells into json text.

    Args:
        path: The file.
        texts: Columns of a csv file that hold texts, even where they look like numbers.
        scratch: A folder for files that are not kept.

    Raises:
        DataError: it is no such table.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return Parquet(path, scratch)
    return _read_json(path) if suffix in (*LINES, ".json") else _read_csv(path, texts)


def encoded_or_path(value: Any) -> bytes | str | Path | None:
    """Encoded bytes, or else a path: either of them, or a struct of `bytes` and `path`.

    None where the cell holds neither.
    """
    found = value if isinstance(value, dict) else {"bytes": value}
    encoded, path = found.get("bytes"), found.get("path")
    if isinstance(encoded, bytes | str | Path):
        return encoded
    return path if isinstance(path, str) else None


def is_empty(value: Any) -> bool:
    """Whether a cell holds nothing: null, an empty text, or a struct of such."""
    if isinstance(value, dict):
        return is_empty(value.get("bytes")) and is_empty(value.get("path"))
    return value is None or (isinstance(value, str | bytes) and not value.strip())


def captions(value: Any, name: str) -> list[str]:
    """The captions of a cell: one text or a list of them, without those that are empty.

    Raises:
        DataError: it holds something else; `name` says which cell.
    """
    listed = [*value] if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    for text in listed:
        if text is not None and not isinstance(text, str):
            raise DataError(f"{name} holds {value!r:.60}, which is no text")
    return [text.strip() for text in listed if text and text.strip()]


def read_text(path: Path) -> str:
    """A file's text (UTF-8, with or without a byte order mark), with one line break at line ends.

    Raises:
        DataError: it is empty, or of another encoding; names it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 ({error}): convert it") from error
    if not text.strip():
        raise DataError(f"{path} holds no text: remove it")
    return text


def _check_column(name: str, column: str, known: Mapping[str, Any]) -> None:
    if column not in known:
        raise DataError(f"{name}: no column {column!r}; it has: {', '.join(known)}")


def _read_csv(path: Path, texts: Sequence[str]) -> Listed:
    import pyarrow
    from pyarrow import csv

    try:
        table = csv.read_csv(
            path,
            parse_options=csv.ParseOptions(
                delimiter="\t" if path.suffix.lower() == ".tsv" else ",", newlines_in_values=True
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(texts, pyarrow.string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} is no table ({error}): correct it") from error
    return Listed(path.name, table.to_pydict(), table.num_rows)


def _read_json(path: Path) -> Listed:
    rows: list[dict[str, Any]] = []
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
        whole = path.suffix.lower() == ".json" and text.startswith("[")
        lines = (line for line in text.split("\n") if line.strip())
        for row in json.loads(text) if whole else map(json.loads, lines):
            rows += [{**row}]
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: row {len(rows)} is no mapping in json ({error})") from error
    names = dict.fromkeys(name for row in rows for name in row)
    return Listed(path.name, {n: [row.get(n) for row in rows] for n in names}, len(rows))
