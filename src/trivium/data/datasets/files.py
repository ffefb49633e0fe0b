"""Data of a user's own and of the hub: folders, tables, shards and running text."""

import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from trivium.data.columns import (
    BROKEN,
    LACKS,
    MediaColumn,
    captions_of_rows,
    decode_column,
    joined_texts,
)
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
from trivium.data.formats.tables import read_text
from trivium.data.listing import (
    FILE,
    LABEL,
    TEST,
    TEXT_FILES,
    TRAIN,
    UNUSED,
    Opened,
    column_values,
    folds_held_out,
    open_classes,
    open_rows,
    sides,
)
from trivium.data.parsing import connected, in_order, text_part, tokenization
from trivium.data.paths import visible_files
from trivium.data.splits import carve
from trivium.data.writer import Parsed
from trivium.types import Modality

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
    has_test = bool((side == TEST).any())
    labels, tasks = _read_classes(opened, config)
    read = _several if len(media) > 1 else _single
    parsed, side = read(opened, media, side, labels, folder, config, scratch)
    train, test, notes = _divide(parsed, side, has_test, config)
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
    parsed: Parsed, side: np.ndarray, has_test: bool, config: Mapping[str, object]
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Train and test as the data tell, or else a share of train as test; and what to note."""
    train, test = (np.flatnonzero(side == one) for one in (TRAIN, TEST))
    if column := section(config, "columns").get("fold"):
        return train, test, (f"Test is {column} {', '.join(map(str, folds_held_out(config)))}.",)
    if has_test:
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
        texts = joined_texts(opened, columns)
        told = np.array([bool(text.strip()) for text in texts])
        if left := int((~told).sum()):
            notes = (f"{left} rows without text were left out.",)
        kept = np.flatnonzero(told & (side != UNUSED))
        part, side = text_part([texts[row] for row in kept], config), side[kept]
    else:
        kept = np.flatnonzero(side != UNUSED)
        marks = [row if one != UNUSED else None for row, one in enumerate(side)]
        column = MediaColumn(opened, columns[0], folder, marks)
        part, good = decode_column(column, one, config, scratch)
        side = np.where(good[: len(kept)], side[kept], UNUSED)
    part = part._replace(labels={task: ids[kept] for task, ids in labels.items()}, notes=notes)
    return part if groups is None else part._replace(groups=groups[kept]), side


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
        texts = captions_of_rows(opened, media["text"])
    found: dict[Modality, Content] = {}
    for one, names in media.items():
        if one != "text":
            column = MediaColumn(opened, names[0], folder, marks, share=True)
            part, good = decode_column(column, one, part_config(config, one), scratch)
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


class Content(NamedTuple):
    """What the rows of the tables name of a modality, and the checksum of each (None: nothing)."""

    part: Parsed
    rows: np.ndarray
    sums: Sequence[str | None]


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
