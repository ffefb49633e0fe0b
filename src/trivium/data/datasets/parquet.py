"""Parquet datasets: the files of a split in order, columns read a few rows at a time."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from trivium.data.config import section
from trivium.data.errors import DataError
from trivium.data.sources.hub import export_parquet
from trivium.data.splits import carve

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
