"""Which files of a user's folder hold what: rows of tables or shards, or one folder per class."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from trivium.data.config import section
from trivium.data.errors import DataError
from trivium.data.formats.media import PICTURES, SOUNDS
from trivium.data.formats.tables import LISTS, Listed, Rows, read_table
from trivium.data.formats.webdataset import MEDIA, TEXTS, Samples, members_of
from trivium.data.paths import visible_files

TEXT_FILES = (".txt", ".md", ".text")
SUFFIXES: Mapping[str, tuple[str, Sequence[str]]] = {
    "image": ("pictures", PICTURES),
    "text": ("texts", TEXT_FILES),
    "audio": ("sounds", SOUNDS),
}
"""What files of a modality are called, and how they end."""
LOOSE = tuple(f".{ending}" for ending in (*sum(MEDIA.values(), ()), *TEXTS, "json"))
KINDS = ((".parquet",), LISTS, (".tar",), LOOSE)
"""Kinds of files that hold rows; the first that a folder has is read."""
JSON = (".json",)
"""Tables, where a folder has nothing else, and parts of samples where it has."""
KNOWN = {"train", "test", "validation", "valid", "val", "dev", "eval"}
"""What files of a split are called; such are of no other split."""
TRAIN, TEST, UNUSED = 0, 1, -1
FILE, LABEL = "file", "label"
"""Columns of the rows of class folders."""


class Opened(NamedTuple):
    """Rows, the folder that their paths are seen from, and their side of the split."""

    rows: Rows
    base: Path
    side: int


def open_classes(folder: Path, modality: str) -> list[Opened]:
    """Files of a modality in class folders, as rows of a file and the name of its class.

    Layouts: `train/CLASS/...` and `test/CLASS/...`; or `CLASS/...`, where all is train; files that
    lie in no class folder have no label. A folder around everything is stepped into.

    Raises:
        DataError: there are none, classes differ between train and test, or files lie both in
            class folders and outside.
    """
    inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if len(inside) == 1 and inside[0].is_dir() and any(p.is_dir() for p in inside[0].iterdir()):
        folder = inside[0]
    splits = [folder / "train", folder / "test"] if (folder / "train").is_dir() else [folder]
    if not splits[-1].is_dir():
        raise DataError(f"{folder} has a folder train but no folder test")
    what, suffixes = SUFFIXES[modality]
    files = [visible_files(split, suffixes) for split in splits]
    for split, found in zip(splits, files, strict=True):
        if not found:
            known = " ".join(sorted(suffixes))
            raise DataError(f"no {what} in {split}; known kinds are: {known}")
    labels = [_classes(split, found) for split, found in zip(splits, files, strict=True)]
    names = tuple(sorted(set(labels[0])))
    if odd := sorted(set(names) ^ set(labels[-1])):
        raise DataError(f"{folder}: train and test differ in classes: {', '.join(odd)}")
    opened = []
    for side, (found, of_file) in enumerate(zip(files, labels, strict=True)):
        columns = {FILE: found} | ({LABEL: of_file} if names else {})
        rows = Listed(folder.name, columns, len(found), {LABEL: names})
        opened.append(Opened(rows, folder, side))
    return opened


def open_rows(
    folder: Path, config: Mapping[str, object], texts: Sequence[str], scratch: Path
) -> list[Opened]:
    """The tables, shards or samples of a folder, those of train first.

    Without `columns.split`, a file's name up to the first `-`, or a folder around it, says its
    split; without `splits`, or with `splits.test: null`, all are train if none is called so.

    Args:
        folder: Where they lie, at any depth; of several kinds the first of `KINDS` is read.
        config: Read for `splits` and `columns.split`.
        texts: Columns that hold texts or paths, even where they look like numbers.
        scratch: A folder for files that are not kept.

    Raises:
        DataError: there are no files of a known kind or of a split, or a file is broken.
    """
    every = visible_files(folder)
    for kind in KINDS:
        if files := [path for path in every if path.suffix.lower() in kind]:
            break
    else:
        known = " ".join(suffix for kind in KINDS for suffix in kind)
        raise DataError(f"{config['name']}: no rows in {folder}; known kinds are: {known}")
    if all(path.suffix.lower() in JSON for path in files):
        kind = JSON
    if section(config, "columns").get("split"):
        return _open(files, kind, folder, texts, UNUSED, scratch)
    opened, asked = [], bool(section(config, "splits"))
    for side, names in enumerate(split_names(config)):
        chosen = next((of for name in names if (of := _of_split(files, folder, {name}))), [])
        if side == TRAIN and not chosen and not (asked and split_names(config)[TEST]):
            others = _of_split(files, folder, KNOWN)
            chosen = [path for path in files if path not in others]
        if names and not chosen and (asked or side == TRAIN):
            found = [p.relative_to(folder).as_posix() for p in files][:5]
            raise DataError(f"{folder}: no files of split {' or '.join(names)}; found {found}")
        opened += _open(chosen, kind, folder, texts, side, scratch)
    return opened


def split_names(config: Mapping[str, object]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What train and test are called: in the data, or by us; nothing where there is no test."""
    given = section(config, "splits") or {"train": "train", "test": "test"}
    train, test = str(given.get("train") or "train"), given.get("test")
    return (train, "train"), (str(test), "test") if test else ()


def sides(opened: Sequence[Opened], config: Mapping[str, object]) -> Int64[np.ndarray, " row"]:
    """On which side of the split each row of all files is: 0 train, 1 test, -1 neither.

    As the files say, or the column `columns.split`; rows whose `columns.fold` is among `held_out`
    are test.

    Raises:
        DataError: a column should say it, but has no such value, or no other.
    """
    columns = section(config, "columns")
    found = np.concatenate([np.full(one.rows.num_rows, one.side, np.int64) for one in opened])
    if column := columns.get("split"):
        said = np.array(list(map(str, column_values(opened, str(column)))))
        for side, names in enumerate(split_names(config)):
            chosen = np.isin(said, names[:1])
            if names and not chosen.any():
                known = ", ".join(sorted(set(said.tolist()))[:9])
                raise DataError(
                    f"{config['name']}: column {column!r} never says {names[0]!r}; it says: {known}"
                )
            found[chosen] = side
    if column := columns.get("fold"):
        folds, held_out = column_values(opened, str(column)), folds_held_out(config)
        is_test = np.array([fold in held_out for fold in folds])
        if not is_test.any() or is_test.all():
            known = ", ".join(map(str, sorted(set(folds), key=str)))
            raise DataError(
                f"{config['name']}: held_out is {config.get('held_out')!r}; expected one or more, "
                f"but not all, of the values of column {column!r}: {known}"
            )
        found[is_test & (found != UNUSED)] = TEST
    return found


def folds_held_out(config: Mapping[str, object]) -> list[object]:
    """The config's `held_out` as a list."""
    held_out = config.get("held_out")
    return held_out if isinstance(held_out, list) else [held_out]


def column_values(opened: Sequence[Opened], column: str) -> list[object]:
    """A column of all rows."""
    return [value for one in opened for value in one.rows.values(column)]


def _classes(folder: Path, files: Sequence[Path]) -> list[str]:
    """The class of each file; nothing where none lies in a class folder."""
    tops = [path.relative_to(folder).parts for path in files]
    outside = [parts[0] for parts in tops if len(parts) == 1]
    if len(outside) == len(files):
        return []
    if outside:
        raise DataError(f"{folder} has class folders, but {outside[0]} lies outside of them")
    return [parts[0] for parts in tops]


def _of_split(files: Sequence[Path], folder: Path, names: Collection[str]) -> list[Path]:
    """The files whose name up to the first `-`, or a folder around them, is one of some names."""
    return [
        path
        for path in files
        if path.stem.split("-")[0] in names
        or any(part in names for part in path.relative_to(folder).parts[:-1])
    ]


def _open(
    files: Sequence[Path],
    kind: Sequence[str],
    folder: Path,
    texts: Sequence[str],
    side: int,
    scratch: Path,
) -> list[Opened]:
    if kind in ((".tar",), LOOSE):
        members = [member for path in files for member in members_of(path)]
        return [Opened(Samples(folder.name, members), folder, side)] if files else []
    return [Opened(read_table(path, texts, scratch), path.parent, side) for path in files]
