"""Rows of parquet, csv and jsonl files, read a few at a time."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from trivium.data.config import section
from trivium.data.errors import DataError
from trivium.data.sources.hub import export_parquet
from trivium.data.splits import carve


def encoded_or_path(value: Any) -> bytes | str | None:
    """Encoded bytes, or else a path: either of them, or a struct of `bytes` and `path`.

    None where the cell holds neither.
    """
    found = value if isinstance(value, dict) else {"bytes": value}
    encoded, path = found.get("bytes"), found.get("path")
    if isinstance(encoded, bytes | str):
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


ROWS = 256


@runtime_checkable
class Rows(Protocol):
    """Rows with named columns, whatever kind of file they lie in."""

    name: str
    num_rows: int

    def values(self, column: str) -> Iterator[Any]:
        """The column's values as Python objects; a `DataError` if there is none."""

    def class_names(self, column: str) -> tuple[str, ...] | None:
        """Names of a class column, where the file has them."""


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


def class_ids(tables: Sequence[Rows], column: str) -> tuple[np.ndarray, tuple[str, ...]]:
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


def open_tables(folder: Path, config: Mapping[str, object], scratch: Path) -> list[Table]:
    """The tables of the config's `splits` (by default `train` and `test`), train first.

    A folder without parquet files (csv, jsonl, pictures) is first loaded by the `datasets`
    library. A split that maps to nothing is left out.

    Raises:
        DataError: a split has no files, or they cannot be loaded.
    """
    given = section(config, "splits") or {"train": "train", "test": "test"}
    splits = {ours: str(theirs) for ours, theirs in given.items() if theirs}
    files = list(folder.rglob("*.parquet"))
    if not files:
        try:
            export_parquet(str(folder), scratch / "parquet", splits, options=_options(folder))
        except Exception as error:  # the library raises its own, pandas' and arrow's alike
            reason = (str(error).strip() or "no reason given").splitlines()[0]
            raise DataError(
                f"{config['name']}: the files in {folder} are no table with the splits "
                f"{', '.join(splits.values())} ({type(error).__name__}: {reason})"
            ) from error
        folder = scratch / "parquet"
    elif len(files) == len(splits) == 1:
        return [Table(files[0].name, files)]
    return [open_table(folder, names) for names in splits.items()]


def _options(folder: Path) -> dict[str, Any]:
    """What pandas is to be told of csv files: the words `NA` and `null` are words."""
    kinds = {path.suffix.lower() for path in folder.rglob("*")}
    return {"keep_default_na": False} if kinds & {".csv", ".tsv"} else {}


class Classes(NamedTuple):
    """The label columns of all tables together: ids and names by task."""

    labels: dict[str, np.ndarray]
    tasks: dict[str, tuple[str, ...]]


def read_classes(tables: Sequence[Rows], config: Mapping[str, object]) -> Classes:
    """What the config's `columns.tasks` names (by default task and column `label`).

    Raises:
        DataError: it is no mapping, a column is missing, or holds no classes.
    """
    columns = section(config, "columns").get("tasks", {"label": "label"}) or {}
    if not isinstance(columns, Mapping):
        raise DataError(f"{config['name']}: columns.tasks must map tasks to columns")
    found = {task: class_ids(tables, str(column)) for task, column in columns.items()}
    return Classes(
        {task: ids for task, (ids, _) in found.items()},
        {task: names for task, (_, names) in found.items()},
    )


class Division(NamedTuple):
    """Indices of train and test over all tables, and what is to be noted."""

    train: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...]


def divide(
    tables: list[Table],
    good: np.ndarray,
    labels: np.ndarray | None,
    groups: np.ndarray | None = None,
) -> Division:
    """Train and test among the good rows; a table alone gives a stratified fifth as test.

    The fifth is one of whole groups, where there are groups.
    """
    num_train = tables[0].num_rows
    train, test = np.flatnonzero(good[:num_train]), num_train + np.flatnonzero(good[num_train:])
    if len(tables) > 1:
        return Division(train, test, ())
    train, test = carve(train, labels, 0.2, stream=1, groups=groups)
    note = "The source has no test split: a stratified fifth of it is taken as test."
    return Division(train, test, (note,))


LINES = (".jsonl", ".ndjson")
TABLES = (".csv", ".tsv", *LINES)
"""Kinds of files."""


class Listed:
    """A csv, tsv or jsonl file, which is read whole.

    Args:
        path: The file.
        texts: Columns of a csv file that hold texts, even where they look like numbers.

    Raises:
        DataError: it is no such table.
    """

    def __init__(self, path: Path, texts: Sequence[str]) -> None:
        self.name = path.name
        read = _read_lines if path.suffix.lower() in LINES else _read_csv
        self.columns, self.num_rows = read(path, texts)

    def values(self, column: str) -> Iterator[Any]:
        """The column's values; None where a cell is empty.

        Raises:
            DataError: there is no such column.
        """
        if column not in self.columns:
            known = ", ".join(self.columns)
            raise DataError(f"{self.name}: no column {column!r}; it has: {known}")
        yield from self.columns[column]

    def class_names(self, column: str) -> None:  # noqa: ARG002
        """There are none."""
        return


def _read_csv(path: Path, texts: Sequence[str]) -> tuple[dict[str, list[Any]], int]:
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
    return table.to_pydict(), table.num_rows


def _read_lines(path: Path, texts: Sequence[str]) -> tuple[dict[str, list[Any]], int]:  # noqa: ARG001
    rows: list[dict[str, Any]] = []
    try:
        for line in path.read_text(encoding="utf-8-sig").split("\n"):
            if line.strip():
                rows += [{**json.loads(line)}]
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: row {len(rows)} is no mapping in json ({error})") from error
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}, len(rows)
