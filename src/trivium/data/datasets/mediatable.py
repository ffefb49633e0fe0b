"""Tables of a user's own or of the hub: files or bytes of several modalities, and captions."""

import hashlib
import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from jaxtyping import Int64

from trivium.data.config import (
    number,
    part_config,
    part_names,
    plain_option,
    section,
    sound_settings,
)
from trivium.data.datasets.audiotable import counted
from trivium.data.datasets.images import decode_all as decode_pictures
from trivium.data.datasets.layout import (
    audio_part,
    below,
    connected,
    image_part,
    in_order,
    text_part,
)
from trivium.data.datasets.soundfiles import decode_all as decode_sounds
from trivium.data.datasets.tables import (
    TABLES,
    Listed,
    Rows,
    Table,
    captions,
    encoded_or_path,
    is_empty,
    read_classes,
)
from trivium.data.datasets.webdataset import MEDIA, TEXTS, Samples, members_of
from trivium.data.errors import ConfigError, DataError
from trivium.data.progress import track
from trivium.data.splits import carve
from trivium.data.writer import Parsed
from trivium.types import Modality

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
            for place, value in enumerate(one.rows.values(self.column)):
                mark, row = self.marks[row], row + 1
                if mark is not None and not is_empty(value):
                    yield from self._new(value, f"{one.rows.name}, row {place}", one, row - 1, mark)
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


class Content(NamedTuple):
    """What the rows of the tables name of a modality, and the checksum of each (None: nothing)."""

    part: Parsed
    rows: np.ndarray
    sums: Sequence[str | None]


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:
    """Read the columns that the config's `media` names, and label columns.

    `media` maps `image` and `audio` to a column of files (paths, bytes, or structs of `bytes` and
    `path`) and `text` to one or several columns of captions, or of lists of captions. Each caption
    of a row is a sample; an empty cell is a sense that the sample lacks. Equal pictures and equal
    sounds (all bytes) are one row and one group. `columns.tasks` maps a task to its label column
    (by default none). Files of names, or `columns.split`, tell `splits.train` and `splits.test`;
    where `test` maps to nothing, a share `test_fraction` of the groups, stratified by the main
    task, is test. Option: `on_error` (`raise`, or `skip` to leave out rows with something broken
    and rows with fewer than two modalities, with a warning). For kinds of files see `open_rows`.

    Raises:
        ConfigError: `media` does not name a column for each modality of the config.
        DataError: files, columns or splits are missing, a path leaves the folder, labels are no
            classes, something is broken, or a row has fewer than two modalities (unless skipped).
    """
    media = _media(config)
    opened = open_rows(folder, config, [name for names in media.values() for name in names])
    side = sides(opened, config)
    tasks = section(config, "columns").get("tasks") or {}
    classes = counted(
        read_classes([one.rows for one in opened], {**config, "columns": {"tasks": tasks}})
    )
    marks: list[Hashable | None] = [
        (int(one), *labels) if one >= 0 else None
        for one, *labels in zip(
            side, *(ids.tolist() for ids in classes.labels.values()), strict=True
        )
    ]
    texts = read_texts(opened, media["text"]) if "text" in media else [[]] * len(marks)
    found: dict[Modality, Content] = {
        one: _content(one, MediaColumn(opened, names[0], folder, marks), config, scratch)
        for one, names in media.items()
        if one != "text"
    }
    kept, notes = _keep(opened, side, found, texts, config)
    of_item = np.repeat(kept, [max(1, len(texts[row])) for row in kept])
    groups = _groups(found, side, kept)[np.searchsorted(kept, of_item)]
    parts = {one: content.part for one, content in found.items()}
    rows = {one: content.rows[of_item] for one, content in found.items()}
    if "text" in media:
        parts["text"] = text_part([text for row in kept for text in texts[row]], config)
        has = np.array([bool(texts[row]) for row in of_item])
        rows["text"] = np.where(has, np.cumsum(has) - 1, -1)
    labels = {task: ids[of_item] for task, ids in classes.labels.items()}
    train, test = (np.flatnonzero(side[of_item] == one) for one in (TRAIN, TEST))
    if not len(test):
        share = number(config, "test_fraction", 0.2)
        if not 0 < share < 1:
            raise ConfigError(f"{config['name']}: test_fraction is {share}; expected it in (0, 1)")
        train, test = carve(train, next(iter(labels.values()), None), share, 1, groups)
        notes = (*notes, f"The table has no test split: {share:.3g} of its groups are test.")
    order = in_order(media)
    return Parsed(
        {},
        labels,
        classes.tasks,
        train,
        test,
        notes,
        groups=groups,
        parts={one: parts[one] for one in order},
        rows={one: rows[one] for one in order},
    )


def _media(config: Mapping[str, object]) -> dict[Modality, list[str]]:
    given, names = section(config, "media"), part_names(config)
    listed = {one: [v] if isinstance(v, str) else v for one, v in given.items() if v}
    if not names or set(listed) != set(names) or not all(map(_are_columns, listed.items())):
        raise ConfigError(
            f"{config.get('name')}: media is {given}, modality {config.get('modality')}; name a "
            "column for each of two or more modalities (of text there may be a list)"
        )
    return {one: [*cast(list[str], listed[one])] for one in in_order(names)}


def _are_columns(entry: tuple[str, object]) -> bool:
    one, columns = entry
    known = isinstance(columns, list) and all(isinstance(column, str) for column in columns)
    return known and (one == "text" or len(cast(list[str], columns)) == 1)


def _content(
    modality: Modality, column: MediaColumn, config: Mapping[str, object], scratch: Path
) -> Content:
    own, total = part_config(config, modality), len(column.marks)
    if modality == "image":
        sources = track(column, f"decoding {config['name']}", total)
        pictures, good = decode_pictures(sources, total, own, scratch)
        part = image_part(pictures[: column.num_distinct])
    else:
        on_error = plain_option(config, "on_error", ("raise", "skip"))
        clips = decode_sounds(column, sound_settings(own)[0].rate, scratch, on_error, total)
        part, good = audio_part(clips, config), clips.good
    return Content(part, column.rows(good), column.sums)


def _keep(
    opened: Sequence[Opened],
    side: np.ndarray,
    found: Mapping[Modality, Content],
    texts: Sequence[Sequence[str]],
    config: Mapping[str, object],
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The rows of the tables that become samples, and what is to be noted."""
    every = [content.rows for content in found.values()]
    broken = np.any([rows == BROKEN for rows in every], axis=0)
    told = np.array([bool(of_row) for of_row in texts])
    has = np.sum([told, *(rows >= 0 for rows in every)], axis=0)
    poor = (side >= 0) & ~broken & (has < 2)
    if poor.any():
        names = [f"{one.rows.name}, row {n}" for one in opened for n in range(one.rows.num_rows)]
        message = (
            f"{config['name']}: {int(poor.sum())} rows have fewer than two modalities, the first "
            f"is {names[int(poor.argmax())]}"
        )
        if plain_option(config, "on_error", ("raise", "skip")) == "raise":
            raise DataError(f"{message}; complete or remove it, or set on_error: skip")
        warnings.warn(f"{message}: left out", stacklevel=2)
    left = int(((broken | poor) & (side >= 0)).sum())
    kept = np.flatnonzero((side >= 0) & ~broken & ~poor)
    return kept, (f"{left} rows were left out.",) if left else ()


def _groups(found: Mapping[Modality, Content], side: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Groups of rows that share a picture or a sound, on one side of the source's own split."""
    keys = [
        [
            (one, int(side[row]), content.sums[row])
            for one, content in found.items()
            if content.sums[row] is not None
        ]
        for row in kept
    ]
    return connected(keys)
