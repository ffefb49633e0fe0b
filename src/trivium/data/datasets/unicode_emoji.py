"""Which emoji there are: names, groups and subgroups of the Unicode consortium's list."""

import json
from pathlib import Path
from typing import NamedTuple

from trivium.data.datasets.iconify import code_points, read_json
from trivium.data.datasets.locate import locate
from trivium.data.errors import DataError

JOINER = "200d"
VARIANTS = {JOINER, "2640", "2642", "27a1"}
"""The joiner, the two gender signs, and the arrow that turns a person around."""
NEUTRAL = {
    "1f468": "1f9d1",
    "1f469": "1f9d1",
    "1f466": "1f9d2",
    "1f467": "1f9d2",
    "1f474": "1f9d3",
    "1f475": "1f9d3",
}
"""Man and woman are the adult, boy and girl the child, old man and old woman the older person."""


class Emoji(NamedTuple):
    """One emoji: `key` is its code points, `concept` is shared by variants of one motif."""

    key: str
    name: str
    group: str
    subgroup: str
    concept: str


def read_emoji(names: Path, subgroups: Path) -> tuple[list[Emoji], int]:
    """The emoji without skin tones, in Unicode's order.

    Args:
        names: Unpacked `unicode-emoji-json`, which has names and groups.
        subgroups: Unpacked `emoji.json`, which has subgroups.

    Returns:
        The emoji, and how many more have no known subgroup (they are newer) and are left out.

    Raises:
        DataError: a file is missing or not as expected.
    """
    listed = read_json(locate(names, "data-by-emoji.json"))
    path = locate(subgroups, "emoji.json")
    try:
        known = {_key(entry["char"]): entry["subgroup"] for entry in json.loads(path.read_bytes())}
        every = [
            Emoji(key, entry["name"], entry["group"], known[key], concept(key))
            for char, entry in listed.items()
            if (key := _key(char)) in known
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{names}, {path}: no lists of emoji as expected ({error!r})") from error
    return every, len(listed) - len(every)


def concept(key: str) -> str:
    """What variants of one motif share: gender and direction are taken out of the code points.

    `woman running facing right`, `man running` and `person running` are nearly one drawing, so
    that they must not lie on two sides of a split.
    """
    parts = key.split("-")
    if JOINER in parts:
        parts = [part for part in parts if part not in VARIANTS]
    return "-".join(dict.fromkeys(NEUTRAL.get(part, part) for part in parts))


def _key(char: str) -> str:
    return code_points([f"{ord(letter):x}" for letter in char])
