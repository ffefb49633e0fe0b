"""Emoji: colour drawings of seven vendors, with Unicode's groups and subgroups, or captions."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from trivium.data.config import part_config, part_names, plain_option, square_side
from trivium.data.errors import DataError
from trivium.data.formats.iconify import (
    VENDORS,
    Emoji,
    Pack,
    code_points,
    drawings_of,
    read_emoji,
    read_pack,
)
from trivium.data.formats.svg import render
from trivium.data.parsing import image_part, text_part
from trivium.data.paths import locate
from trivium.data.progress import track
from trivium.data.splits import carve
from trivium.data.writer import Parsed

TEST = 0.2
"""Share of the concepts of each group that is test."""
KEYWORDS = "emoji-en-US.json"


class Sample(NamedTuple):
    """One drawing: of which emoji, by which vendor. The pixels are uint8 [3, size, size]."""

    emoji: Emoji
    vendor: int
    pixels: np.ndarray


class Drawn(NamedTuple):
    """Every drawing with its labels and groups, who is train and test, and what to know of them."""

    samples: list[Sample]
    labels: dict[str, np.ndarray]
    tasks: dict[str, tuple[str, ...]]
    groups: np.ndarray
    train: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...]
    by_vendor: bool


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:  # noqa: ARG001
    """The drawings of `drawings`; where a vendor is held out, concepts are on both sides.

    With the modality image+text each drawing has a caption of its own: the emoji's name, then a
    random half of its keywords (one at least, if it has any) in the order of the list; which half
    depends on the emoji and the vendor alone. So the drawings of one emoji have different captions.
    There is then no task `vendor`, of which a caption says nothing.

    Raises:
        ConfigError: an unknown split or vendor, or a shape other than [3, size, size].
        DataError: a package is missing or of another layout, or nothing can be drawn.
    """
    pairs = bool(part_names(config))
    found = drawings(folder, part_config(config, "image") if pairs else config)
    images = np.stack([sample.pixels for sample in found.samples])
    tasks = {task: names for task, names in found.tasks.items() if task != "vendor" or not pairs}
    parsed = image_part(images)._replace(
        labels={task: found.labels[task] for task in tasks},
        tasks=tasks,
        train=found.train,
        test=found.test,
        notes=found.notes,
        groups=None if found.by_vendor else found.groups,
    )
    if not pairs:
        return parsed
    keywords = read_keywords(folder / "emojilib")
    captions = [
        caption(sample.emoji.name, keywords.get(sample.emoji.key, ()), sample.vendor)
        for sample in found.samples
    ]
    every = np.arange(len(captions))
    texts = text_part(captions, part_config(config, "text"))
    return parsed._replace(
        columns={},
        parts={"image": image_part(images), "text": texts},
        rows={"image": every, "text": every.copy()},
    )


def drawings(folder: Path, config: Mapping[str, object]) -> Drawn:
    """Render every vendor's drawing of every emoji on white.

    `split: concept` keeps all drawings of a concept on one side and holds out a fifth of the
    concepts, stratified by group; `split: vendor` holds out all drawings of `held_out`. Tasks:
    `group` (main), `subgroup`, and `vendor`, a probe of style.

    Raises:
        ConfigError: an unknown split or vendor, or a shape other than [3, size, size].
        DataError: a package is missing or of another layout, or nothing can be drawn.
    """
    split = plain_option(config, "split", ("concept", "vendor"))
    held_out = plain_option(config, "held_out", VENDORS) if split == "vendor" else ""
    width = square_side(config)
    emoji, num_newer = read_emoji(folder / "unicode-emoji-json", folder / "emoji.json")
    packs = [read_pack(folder / f"iconify-json-{vendor}") for vendor in VENDORS]
    refused: list[str] = []
    samples = list(_samples(emoji, packs, width, refused))
    if not samples:
        raise DataError(f"{config['name']}: nothing could be drawn; the first: {refused[:1]}")
    labels, tasks = _labels(samples, emoji)
    groups = _groups(samples)
    if held_out:
        is_test = labels["vendor"] == VENDORS.index(held_out)
        train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    else:
        every = np.arange(len(samples))
        train, test = carve(every, labels["group"], TEST, stream=1, groups=groups)
    notes = _notes(samples, packs, groups, refused, num_newer)
    return Drawn(samples, labels, tasks, groups, train, test, notes, bool(held_out))


def _samples(
    emoji: Sequence[Emoji], packs: Sequence[Pack], size: int, refused: list[str]
) -> Iterator[Sample]:
    found = [
        (one, vendor, *drawing)
        for vendor, drawings in enumerate(drawings_of(emoji, packs))
        for one in emoji
        if (drawing := drawings.get(one.key)) is not None
    ]
    for one, vendor, _, body, box in track(found, "drawing emoji", len(found)):
        try:
            pixels = render(body, box, size, f"{VENDORS[vendor]} {one.name}")
        except DataError as error:
            refused.append(str(error))
        else:
            yield Sample(one, vendor, pixels)


def _labels(
    samples: Sequence[Sample], emoji: Sequence[Emoji]
) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]]]:
    tasks = {
        "group": tuple(dict.fromkeys(one.group for one in emoji)),
        "subgroup": tuple(dict.fromkeys(one.subgroup for one in emoji)),
        "vendor": VENDORS,
    }
    group, subgroup = (
        {name: number for number, name in enumerate(tasks[task])} for task in ("group", "subgroup")
    )
    labels = {
        "group": [group[sample.emoji.group] for sample in samples],
        "subgroup": [subgroup[sample.emoji.subgroup] for sample in samples],
        "vendor": [sample.vendor for sample in samples],
    }
    return {task: np.array(ids, np.int64) for task, ids in labels.items()}, tasks


def _groups(samples: Sequence[Sample]) -> np.ndarray:
    """Concepts, joined where two have the same pixels (as the flags of some territories do)."""
    _, concept = np.unique([sample.emoji.concept for sample in samples], return_inverse=True)
    _, picture = np.unique([_digest(sample.pixels) for sample in samples], return_inverse=True)
    num_concepts, num = concept.max() + 1, concept.max() + picture.max() + 2
    edges = coo_array((np.ones(len(samples)), (concept, num_concepts + picture)), (num, num))
    _, component = connected_components(edges, directed=False)
    _, groups = np.unique(component[concept], return_inverse=True)
    return groups.astype(np.int64)


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def _notes(
    samples: Sequence[Sample],
    packs: Sequence[Pack],
    groups: np.ndarray,
    refused: Sequence[str],
    num_newer: int,
) -> tuple[str, ...]:
    counts = np.bincount([sample.vendor for sample in samples], minlength=len(VENDORS))
    num_emoji = len({sample.emoji.key for sample in samples})
    return (
        f"{len(samples)} drawings of {num_emoji} emoji in {groups.max() + 1} concepts, on white. "
        "Skin tones are left out; genders and directions of one motif are one concept, and so "
        "are emoji with the same pixels.",
        f"{num_newer} emoji are left out because their subgroup is not known.",
        f"{len(refused)} drawings were refused{': ' * bool(refused)}{'; '.join(refused[:3])}.",
        *(
            f"{vendor}: {count} drawings by {pack.author}, licence {pack.licence}"
            for vendor, count, pack in zip(VENDORS, counts, packs, strict=True)
        ),
    )


def read_keywords(folder: Path) -> dict[str, tuple[str, ...]]:
    """Keywords by code points, from an unpacked `emojilib`.

    Raises:
        DataError: the list is missing or of another layout.
    """
    path = locate(folder, KEYWORDS)
    try:
        listed = json.loads(path.read_bytes())
        return {
            code_points([f"{ord(letter):x}" for letter in char]): tuple(
                str(word).replace("_", " ") for word in words
            )
            for char, words in listed.items()
        }
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DataError(f"{path} is no list of keywords as expected ({error!r})") from error


def caption(name: str, keywords: Sequence[str], vendor: int) -> str:
    """The name and half of the keywords, chosen by name and vendor; nothing is told twice.

    Case and hyphens make no other word: `flag wales` is the name `flag Wales` again.
    """
    told = {_plain(name): name}
    for word in keywords:
        told.setdefault(_plain(word), word)
    others = [*told.values()][1:]
    seed = int.from_bytes(hashlib.sha256(f"{name}/{vendor}".encode()).digest()[:8], "little")
    chosen = np.random.Generator(np.random.PCG64(seed)).permutation(len(others))
    kept = sorted(chosen[: -(-len(others) // 2)])
    return ", ".join([name, *(others[number] for number in kept)])


def _plain(word: str) -> str:
    return word.casefold().replace("-", " ")
