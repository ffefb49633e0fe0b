"""Data of a user's own and of the hub: folders, tables, shards and running text."""

import hashlib
import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from trivium.data.config import (
    image_shape,
    number,
    part_config,
    part_names,
    plain_option,
    section,
    sound_settings,
    text_length,
)
from trivium.data.errors import ConfigError, DataError
from trivium.data.formats.media import decode_pictures, decode_sounds
from trivium.data.formats.tables import captions, encoded_or_path, is_empty, read_text
from trivium.data.listing import (
    FILE,
    LABEL,
    TEST,
    TEXT_FILES,
    TRAIN,
    Opened,
    column_values,
    folds_held_out,
    open_classes,
    open_rows,
    sides,
)
from trivium.data.parsing import (
    audio_part,
    connected,
    image_part,
    in_order,
    text_part,
    tokenization,
)
from trivium.data.paths import below, visible_files
from trivium.data.splits import carve
from trivium.data.writer import Parsed
from trivium.types import Modality

LACKS, BROKEN = -1, -2
CHECKS = {"image": image_shape, "text": text_length, "audio": sound_settings}
"""What must be told of each modality, before any file is read."""
Labels = dict[str, np.ndarray]
Names = dict[str, tuple[str, ...]]


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:
    """Read a folder by what the config has.

    With `passage` running text, see `running_text`. With `columns` or `media` rows of tables,
    shards or loose samples, see `open_rows`; else files in class folders, see `open_classes`.

    `columns.MODALITY` names the column of one modality (by default its own name): pictures and
    sounds are files (paths below `folder`, bytes, or structs of `bytes` and `path`), texts may be
    several columns, joined by line breaks; rows without text are left out. For several modalities
    `media` maps each to its column, and text to one or several columns of captions or of lists of
    captions: each caption of a row is a sample, an empty cell is a modality that the sample lacks,
    and equal pictures and equal sounds (all bytes) are one row and one group.

    `columns.tasks` maps a task to its label column (by default `label: label`, or none for several
    modalities), the main one first; classes are those of a `ClassLabel`, else the sorted distinct
    values. `columns.group` names a column whose values (speakers, recordings) are on one side of
    each split. `splits` maps `train` and `test` to the data's own names, which file names, folders
    or `columns.split` tell; rows whose `columns.fold` is among `held_out` are test. Where nothing
    is, a share `test_fraction` (0.2), stratified by the main task, becomes test, groups as a whole.
    `on_error` is `raise`, or `skip` to leave out what is broken, or lacks a second modality.

    Raises:
        ConfigError: an option is wrong, or `media` does not name a column for each modality.
        DataError: files, columns or splits are missing, a path leaves the folder, labels are no
            classes, or something is broken (unless skipped).
    """
    if "passage" in config:
        return running_text(folder, config)
    plain_option(config, "on_error", ("raise", "skip"))
    of_rows = "columns" in config or "media" in config
    media = _media(config) if of_rows else {cast(Modality, config["modality"]): [FILE]}
    for one in media:
        CHECKS[one](part_config(config, one) if len(media) > 1 else config)
    if of_rows:
        texts = [name for names in media.values() for name in names]
        opened = open_rows(folder, config, texts, scratch)
    else:
        opened = open_classes(folder, str(config["modality"]))
    side = sides(opened, config)
    labels, tasks = _read_classes(opened, config)
    read = _several if len(media) > 1 else _single
    parsed, side = read(opened, media, side, labels, folder, config, scratch)
    train, test, notes = _divide(parsed, side, config)
    return parsed._replace(tasks=tasks, train=train, test=test, notes=(*parsed.notes, *notes))


def running_text(folder: Path, config: Mapping[str, object]) -> Parsed:
    """Read text files (UTF-8) in the order of their paths, and cut them into passages.

    A passage has about `passage` characters and ends at the end of a line. The last
    `test_fraction` (default 0.1) of all passages is test: later text, never text between two
    passages of train. `files` chooses the files by a pattern (default: every text file).

    Raises:
        DataError: no files, an empty one or one that is not UTF-8, or fewer than ten passages.
    """
    name, pattern = config["name"], config.get("files")
    files = visible_files(folder, () if pattern else TEXT_FILES)
    if pattern:
        chosen = set(folder.rglob(str(pattern)))
        files = [path for path in files if path in chosen]
    if not files:
        wanted = pattern or " ".join(sorted(TEXT_FILES))
        raise DataError(f"{name}: no text files in {folder}; looked for {wanted}")
    size, share = int(number(config, "passage", 2000)), number(config, "test_fraction", 0.1)
    if size < 1 or not 0 < share < 1:
        raise DataError(
            f"{name}: passage is {size} and test_fraction {share}; expected a positive "
            "number and a share in (0, 1)"
        )
    texts = [passage for path in files for passage in passages(read_text(path), size)]
    if len(texts) < 10:
        raise DataError(
            f"{name}: {len(texts)} passages of {size} characters are too few for three "
            "splits: choose a smaller passage"
        )
    train, test = np.split(np.arange(len(texts)), [len(texts) - max(1, round(share * len(texts)))])
    return Parsed({}, {}, {}, train, test, texts=texts, tokenizer=tokenization(config))


def passages(text: str, size: int) -> Iterator[str]:
    """A text in parts of at least `size` characters, each up to the end of a line.

    Together they are the text, but for what is blank behind the last of its words. No part is
    blank: what is blank goes with the words behind it.
    """
    part: list[str] = []
    length = 0
    for line in text.splitlines(keepends=True):
        part.append(line)
        length += len(line)
        if length >= size and not (passage := "".join(part)).isspace():
            yield passage
            part, length = [], 0
    if (rest := "".join(part)).strip():
        yield rest


def _media(config: Mapping[str, object]) -> dict[Modality, list[str]]:
    """The columns of each modality."""
    several = part_names(config)
    given = section(config, "media")
    if not several:
        one = str(config["modality"])
        given = {one: section(config, "columns").get(one, one)}
    names = several or tuple(given)
    listed = {one: [v] if isinstance(v, str) else v for one, v in given.items() if v}
    if set(listed) != set(names) or not all(map(_are_columns, listed.items())):
        where = "media is" if several else "columns has"
        raise ConfigError(
            f"{config.get('name')}: {where} {given}, modality is {config.get('modality')}; name a "
            "column for each modality (of text there may be a list)"
        )
    return {one: [*cast(list[str], listed[one])] for one in in_order(names)}


def _are_columns(entry: tuple[str, object]) -> bool:
    one, columns = entry
    known = isinstance(columns, list) and all(isinstance(column, str) for column in columns)
    return known and (one == "text" or len(cast(list[str], columns)) == 1)


def _read_classes(opened: Sequence[Opened], config: Mapping[str, object]) -> tuple[Labels, Names]:
    """Class ids and names of each task."""
    if "columns" in config or "media" in config:
        default = {} if part_names(config) else {LABEL: LABEL}
        columns = section(config, "columns").get("tasks", default) or {}
    else:
        columns = {LABEL: LABEL} if opened[0].rows.class_names(LABEL) else {}
    if not isinstance(columns, Mapping):
        raise DataError(f"{config['name']}: columns.tasks must map tasks to columns")
    labels: Labels = {}
    names: Names = {}
    for task, column in columns.items():
        values = column_values(opened, str(column))
        named = opened[0].rows.class_names(str(column))
        odd = [v for v in values if not isinstance(v, str) and not (isinstance(v, int) and v >= 0)]
        if odd or len({isinstance(value, str) for value in values}) > 1:
            shown = odd[0] if odd else values[0]
            where = opened[0].rows.name
            raise DataError(f"{where}: column {column!r} holds {shown!r}, which is no class")
        if named and isinstance(values[0], int):
            labels[task], names[task] = np.array(values, np.int64), named
        else:
            used, ids = np.unique(np.array(values), return_inverse=True)
            labels[task], names[task] = ids.astype(np.int64), tuple(map(str, used))
    return labels, names


def _divide(
    parsed: Parsed, side: np.ndarray, config: Mapping[str, object]
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Train and test as the data tell, or else a share of train as test; and what to note."""
    train, test = (np.flatnonzero(side == one) for one in (TRAIN, TEST))
    if column := section(config, "columns").get("fold"):
        return train, test, (f"Test is {column} {', '.join(map(str, folds_held_out(config)))}.",)
    if len(test):
        return train, test, ()
    share = number(config, "test_fraction", 0.2)
    if not 0 < share < 1:
        raise ConfigError(f"{config['name']}: test_fraction is {share}; expected it in (0, 1)")
    main = next(iter(parsed.labels.values()), None)
    train, test = carve(train, main, share, stream=1, groups=parsed.groups)
    of = "its samples" if parsed.groups is None else "its groups"
    return train, test, (f"The source has no test split: {share:.3g} of {of} are test.",)


def _group_keys(
    opened: Sequence[Opened], side: np.ndarray, config: Mapping[str, object]
) -> list[list[Hashable]]:
    """What rows share by `columns.group`: nothing where the column is empty, or there is none.

    A group that the source has in train and in test counts as two: its split is kept.
    """
    column = section(config, "columns").get("group")
    if not column:
        return [[] for _ in side]
    values = column_values(opened, str(column))
    return [
        [] if value is None else [("group", int(one), value)]
        for one, value in zip(side, values, strict=True)
    ]


def _single(
    opened: Sequence[Opened],
    media: Mapping[Modality, Sequence[str]],
    side: np.ndarray,
    labels: Labels,
    folder: Path,
    config: Mapping[str, object],
    scratch: Path,
) -> tuple[Parsed, np.ndarray]:
    """One modality: each row is a sample, on no side if it is broken; texts without it are left."""
    groups = None
    if section(config, "columns").get("group"):
        keys = _group_keys(opened, side, config)
        groups = connected([of_row or [row] for row, of_row in enumerate(keys)])
    (one, columns) = next(iter(media.items()))
    notes: tuple[str, ...] = ()
    if one == "text":
        texts = _joined(opened, columns)
        kept = np.flatnonzero([bool(text.strip()) for text in texts])
        if left := len(texts) - len(kept):
            notes = (f"{left} rows without text were left out.",)
        part, side = text_part([texts[row] for row in kept], config), side[kept]
        labels = {task: ids[kept] for task, ids in labels.items()}
        groups = None if groups is None else groups[kept]
    else:
        column = MediaColumn(opened, columns[0], folder, range(len(side)))
        part, good = _decode(one, column, config, scratch)
        side = np.where(good, side, LACKS)
    return part._replace(labels=labels, groups=groups, notes=notes), side


def _joined(opened: Sequence[Opened], columns: Sequence[str]) -> list[str]:
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


def _several(
    opened: Sequence[Opened],
    media: Mapping[Modality, Sequence[str]],
    side: np.ndarray,
    labels: Labels,
    folder: Path,
    config: Mapping[str, object],
    scratch: Path,
) -> tuple[Parsed, np.ndarray]:
    """Several modalities: a sample for each caption of a row, equal content once."""
    ids = [of_task.tolist() for of_task in labels.values()]
    marks: list[Hashable | None] = [
        (int(one), *of_row) if one >= 0 else None for one, *of_row in zip(side, *ids, strict=True)
    ]
    texts: list[list[str]] = [[]] * len(marks)
    if "text" in media:
        texts = _captions(opened, media["text"])
    found: dict[Modality, Content] = {}
    for one, names in media.items():
        if one != "text":
            column = MediaColumn(opened, names[0], folder, marks, share=True)
            part, good = _decode(one, column, part_config(config, one), scratch)
            found[one] = Content(part, column.rows(good), column.sums)
    kept, notes = _keep(opened, side, found, texts, config)
    keys = _group_keys(opened, side, config)
    for one, content in found.items():
        for row, digest in enumerate(content.sums):
            if digest is not None:
                keys[row].append((one, int(side[row]), digest))
    of_item = np.repeat(kept, [max(1, len(texts[row])) for row in kept])
    groups = connected([keys[row] for row in kept])[np.searchsorted(kept, of_item)]
    parts = {one: content.part for one, content in found.items()}
    rows = {one: content.rows[of_item] for one, content in found.items()}
    if "text" in media:
        told = [text for row in kept for text in texts[row]]
        parts["text"] = text_part(told, part_config(config, "text"))
        has = np.array([bool(texts[row]) for row in of_item])
        rows["text"] = np.where(has, np.cumsum(has) - 1, LACKS)
    empty = np.empty(0, np.int64)
    parsed = Parsed(
        {},
        {task: of_task[of_item] for task, of_task in labels.items()},
        {},
        empty,
        empty,
        notes,
        groups=groups,
        parts={one: parts[one] for one in media},
        rows={one: rows[one] for one in media},
    )
    return parsed, side[of_item]


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


class Content(NamedTuple):
    """What the rows of the tables name of a modality, and the checksum of each (None: nothing)."""

    part: Parsed
    rows: np.ndarray
    sums: Sequence[str | None]


def _decode(
    modality: Modality, column: MediaColumn, config: Mapping[str, Any], scratch: Path
) -> tuple[Parsed, np.ndarray]:
    """The pictures or sounds of a column, and which of them could be decoded."""
    on_error, total = plain_option(config, "on_error", ("raise", "skip")), len(column.marks)
    if modality == "image":
        pictures, good = decode_pictures(column, total, image_shape(config), scratch, on_error)
        return image_part(pictures[: column.num_distinct]), good
    settings, _ = sound_settings(config)
    clips = decode_sounds(column, total, settings.rate, scratch, on_error)
    return audio_part(clips, config), clips.good


def _captions(opened: Sequence[Opened], columns: Sequence[str]) -> list[list[str]]:
    """The captions of each row of all files, out of one column or several."""
    found: list[list[str]] = []
    for one in opened:
        cells = zip(*(one.rows.values(column) for column in columns), strict=True)
        for row, of_row in enumerate(cells):
            name = f"{one.rows.name}, row {row}: column"
            pairs = zip(columns, of_row, strict=True)
            found.append([text for c, cell in pairs for text in captions(cell, f"{name} {c!r}")])
    return found


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
        if config.get("on_error") != "skip":
            raise DataError(f"{message}; complete or remove it, or set on_error: skip")
        warnings.warn(f"{message}: left out", stacklevel=2)
    left = int(((broken | poor) & (side >= 0)).sum())
    kept = np.flatnonzero((side >= 0) & ~broken & ~poor)
    return kept, (f"{left} rows were left out.",) if left else ()
