"""The rows of a user's own table, in parquet, csv or jsonl files or in the WebDataset layout."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from trivium.data.config import section
from trivium.data.datasets.cells import captions
from trivium.data.datasets.listed import TABLES, Listed
from trivium.data.datasets.parquet import Rows, Table
from trivium.data.datasets.webdataset import MEDIA, TEXTS, Samples, members_of
from trivium.data.errors import DataError

LOOSE = tuple(f".{ending}" for ending in (*sum(MEDIA.values(), ()), *TEXTS, "json"))
KINDS = ((".parquet",), TABLES, (".tar",), LOOSE)
"""Kinds of files that hold rows; the first that a folder has is read."""
TRAIN, TEST, UNUSED = 0, 1, -1


class Opened(NamedTuple):
    """Rows, the folder that their paths are seen from, and their side of the split (None: open)."""

    rows: Rows
    base: Path
    side: int | None


def open_rows(folder: Path, config: Mapping[str, object], texts: Sequence[str]) -> list[Opened]:
    """The files of a folder that hold rows, those of train first.

    Without `columns.split`, a file's name up to the first `-`, or a folder around it, says its
    split; with `splits.test: null` all are train if none is called so.

    Args:
        folder: Where they lie, at any depth; of several kinds the first of `KINDS` is read.
        config: Read for `splits` and `columns.split`.
        texts: Columns that hold texts or paths, even where they look like numbers.

    Raises:
        DataError: there are no files of a known kind or of a split, or a file is broken.
    """
    kind, files = _find(folder)
    if not files:
        known = " ".join(suffix for kind in KINDS for suffix in kind)
        raise DataError(f"{config['name']}: no rows in {folder}; known kinds are: {known}")
    if section(config, "columns").get("split"):
        return _open(files, kind, folder, texts, None)
    opened = []
    for side, names in enumerate(split_names(config)):
        chosen = [p for p in files if _is_of(p.relative_to(folder), names)]
        if side == TRAIN and not chosen and not split_names(config)[TEST]:
            chosen = files
        if names and not chosen:
            found = [p.relative_to(folder).as_posix() for p in files][:5]
            raise DataError(f"{folder}: no files of split {' or '.join(names)}; found {found}")
        opened += _open(chosen, kind, folder, texts, side)
    return opened


def split_names(config: Mapping[str, object]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What train and test are called: by us, and in the data; nothing where there is no test."""
    given = section(config, "splits") or {"train": "train", "test": None}
    train, test = str(given.get("train") or "train"), given.get("test")
    return ("train", train), ("test", str(test)) if test else ()


def sides(opened: Sequence[Opened], config: Mapping[str, object]) -> Int64[np.ndarray, " row"]:
    """On which side of the split each row of all files is: 0 train, 1 test, -1 neither.

    Raises:
        DataError: a column should say it, but has no such value.
    """
    column = section(config, "columns").get("split")
    if not column:
        return np.concatenate([np.full(one.rows.num_rows, one.side, np.int64) for one in opened])
    said = np.array([str(value) for one in opened for value in one.rows.values(str(column))])
    found = np.full(len(said), UNUSED, np.int64)
    for side, names in enumerate(split_names(config)):
        chosen = np.isin(said, names[-1:])
        if names and not chosen.any():
            known = ", ".join(sorted(set(said.tolist()))[:9])
            raise DataError(
                f"{config['name']}: column {column!r} never says {names[-1]!r}; it says: {known}"
            )
        found[chosen] = side
    return found


def read_texts(opened: Sequence[Opened], columns: Sequence[str]) -> list[list[str]]:
    """The captions of each row of all files, out of one column or several.

    Raises:
        DataError: there is no such column, or a cell holds something else.
    """
    found: list[list[str]] = []
    for one in opened:
        cells = zip(*(one.rows.values(column) for column in columns), strict=True)
        for row, of_row in enumerate(cells):
            name = f"{one.rows.name}, row {row}: column"
            pairs = zip(columns, of_row, strict=True)
            found.append([text for c, cell in pairs for text in captions(cell, f"{name} {c!r}")])
    return found


def _find(folder: Path) -> tuple[tuple[str, ...], list[Path]]:
    """The first of the kinds that there are, and its files, ordered by path."""
    every = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(s[0] == "." for s in path.relative_to(folder).parts)
    ]
    for kind in KINDS:
        if files := [path for path in every if path.suffix.lower() in kind]:
            return kind, files
    return (), []


def _open(
    files: Sequence[Path], kind: Sequence[str], folder: Path, texts: Sequence[str], side: int | None
) -> list[Opened]:
    if kind in ((".tar",), LOOSE):
        members = [member for path in files for member in members_of(path)]
        return [Opened(Samples(folder.name, members), folder, side)] if files else []
    if kind == (".parquet",):
        return [Opened(Table(path.name, [path]), path.parent, side) for path in files]
    return [Opened(Listed(path, texts), path.parent, side) for path in files]


def _is_of(path: Path, names: Sequence[str]) -> bool:
    return path.stem.split("-")[0] in names or any(part in names for part in path.parts[:-1])
