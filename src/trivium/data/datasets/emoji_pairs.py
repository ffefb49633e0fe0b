"""Emoji with captions: each drawing with its name and some of its keywords."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from trivium.data.config import part_config
from trivium.data.datasets.emoji import drawings
from trivium.data.datasets.iconify import code_points
from trivium.data.datasets.layout import image_part, locate, text_part
from trivium.data.errors import DataError
from trivium.data.writer import Parsed

KEYWORDS = "emoji-en-US.json"


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:  # noqa: ARG001
    """Every drawing of `emoji` with a caption of its own.

    A caption is the emoji's name, then a random half of its keywords (one at least, if it has any)
    in the order of the list; which half depends on the emoji and the vendor alone. So the drawings
    of one emoji have different captions. Splits and tasks are those of `emoji`, but for the task
    `vendor`, of which a caption says nothing.

    Raises:
        ConfigError: an unknown split or vendor, or a shape other than [3, size, size].
        DataError: a package is missing or of another layout.
    """
    found = drawings(folder, part_config(config, "image"))
    keywords = read_keywords(folder / "emojilib")
    captions = [
        caption(sample.emoji.name, keywords.get(sample.emoji.key, ()), sample.vendor)
        for sample in found.samples
    ]
    every = np.arange(len(captions))
    tasks = {task: names for task, names in found.tasks.items() if task != "vendor"}
    return Parsed(
        columns={},
        labels={task: found.labels[task] for task in tasks},
        tasks=tasks,
        train=found.train,
        test=found.test,
        notes=found.notes,
        groups=None if found.by_vendor else found.groups,
        parts={
            "image": image_part(np.stack([sample.pixels for sample in found.samples])),
            "text": text_part(captions, config),
        },
        rows={"image": every, "text": every.copy()},
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
