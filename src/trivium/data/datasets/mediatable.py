"""A table of the user's own, or of the hub: files or bytes of several modalities, and captions."""

import warnings
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from trivium.data.config import (
    number,
    part_config,
    part_names,
    plain_option,
    section,
    sound_settings,
)
from trivium.data.datasets.audiotable import counted
from trivium.data.datasets.connected import connected
from trivium.data.datasets.mediacolumn import BROKEN, MediaColumn
from trivium.data.datasets.mediarows import (
    TEST,
    TRAIN,
    Opened,
    open_rows,
    read_texts,
    sides,
)
from trivium.data.datasets.parquet import read_classes
from trivium.data.datasets.parts import audio_part, image_part, in_order, text_part
from trivium.data.datasets.pictures import decode_all as decode_pictures
from trivium.data.datasets.soundfiles import decode_all as decode_sounds
from trivium.data.errors import ConfigError, DataError
from trivium.data.progress import track
from trivium.data.splits import carve
from trivium.data.writer import Parsed
from trivium.types import Modality


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
