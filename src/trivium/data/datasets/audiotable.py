"""Sounds in a table: parquet files as the Hugging Face hub has them, csv or jsonl files."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from trivium.data.config import plain_option, section, sound_settings
from trivium.data.datasets.layout import below
from trivium.data.datasets.soundfiles import decode_all
from trivium.data.datasets.tables import (
    Classes,
    Division,
    Table,
    divide,
    encoded_or_path,
    open_tables,
    read_classes,
)
from trivium.data.errors import DataError
from trivium.data.writer import Parsed, Waves


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:
    """Read a column of sounds and label columns.

    The config's `columns.audio` names the column of sounds (default `audio`): encoded bytes, a
    struct of `bytes` and `path`, or the path of a file below `folder`. `columns.tasks` maps a task
    to its label column (default `label: label`, empty for none), the main task first; whole
    numbers without names, such as ids of speakers, are counted anew. `columns.group` names a
    column whose values (speakers, recordings) are kept on one side of train and validation, and of
    a test split that is made here. `splits` maps `train` and `test` to the table's own names.
    Where `test` maps to nothing, the rows whose `columns.fold` is among `held_out` are test, or
    else a stratified fifth. Option: `on_error` (`raise` or `skip`).

    Raises:
        DataError: files or columns are missing, labels are no classes, a sound is broken (unless
            skipped), or no row has the fold.
    """
    settings, frames = sound_settings(config)
    on_error = plain_option(config, "on_error", ("raise", "skip"))
    tables = open_tables(folder, config, scratch)
    columns = section(config, "columns")
    labels, tasks = counted(read_classes(tables, config))
    groups = _groups(tables, str(columns["group"])) if columns.get("group") else None
    total = sum(table.num_rows for table in tables)
    sources = sounds(tables, str(columns.get("audio", "audio")), folder)
    clips = decode_all(sources, settings.rate, scratch, on_error, total)
    main = next(iter(labels.values()), None)
    if columns.get("fold"):
        train, test, notes = _by_fold(tables, clips.good, config)
    else:
        train, test, notes = divide(tables, clips.good, main, groups)
    return Parsed(
        {},
        labels,
        tasks,
        train,
        test,
        notes,
        groups=groups,
        waves=Waves(clips.flat, clips.offsets, settings, frames),
    )


def sounds(tables: list[Table], column: str, folder: Path) -> Iterator[tuple[str, Path | bytes]]:
    """Every row's sound with a name for messages: its bytes, or a file below `folder`.

    Raises:
        DataError: a row holds neither, or a path that leaves the folder.
    """
    for table in tables:
        for row, value in enumerate(table.values(column)):
            name = f"{table.name}, row {row}"
            found = encoded_or_path(value)
            if isinstance(found, bytes):
                yield name, found
            elif isinstance(found, str):
                yield f"{name}, {found}", _inside(folder, found, name)
            else:
                raise DataError(f"{name}: column {column!r} holds no sound, but {type(value)}")


def counted(classes: Classes) -> Classes:
    """Classes without names become the numbers that occur, such as those of 251 speakers."""
    labels, tasks = dict(classes.labels), dict(classes.tasks)
    for task, names in classes.tasks.items():
        if names == tuple(map(str, range(len(names)))):
            used, ids = np.unique(classes.labels[task], return_inverse=True)
            labels[task], tasks[task] = ids.astype(np.int64), tuple(map(str, used))
    return Classes(labels, tasks)


def _inside(folder: Path, path: str, name: str) -> Path:
    whole = below(folder, path, name)
    if not whole.is_file():
        raise DataError(f"{name}: there is no file {path} in {folder}")
    return whole


def _groups(tables: list[Table], column: str) -> np.ndarray:
    """Groups by the values of a column; a row without one is alone.

    A group that the source has in train and in test counts as two: its split is kept.
    """
    keys = [
        (number, value) if value is not None else (number, row, "alone")
        for number, table in enumerate(tables)
        for row, value in enumerate(table.values(column))
    ]
    ids: dict[tuple[object, ...], int] = {}
    return np.array([ids.setdefault(key, len(ids)) for key in keys], np.int64)


def _by_fold(tables: list[Table], good: np.ndarray, config: Mapping[str, object]) -> Division:
    column = str(section(config, "columns")["fold"])
    held_out = config.get("held_out")
    chosen = held_out if isinstance(held_out, list) else [held_out]
    folds = [value for table in tables for value in table.values(column)]
    is_test = np.array([fold in chosen for fold in folds])
    if not is_test.any() or is_test.all():
        known = ", ".join(map(str, sorted(set(folds), key=str)))
        raise DataError(
            f"{config['name']}: held_out is {held_out!r}; expected one or more, but not all, of "
            f"the values of column {column!r}: {known}"
        )
    note = f"Test is {column} {', '.join(map(str, chosen))}."
    return Division(np.flatnonzero(good & ~is_test), np.flatnonzero(good & is_test), (note,))
