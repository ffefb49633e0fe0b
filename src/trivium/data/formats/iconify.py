"""Icon sets in Iconify's JSON layout, their vendors, and Unicode's names of emoji."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from trivium.data.errors import DataError
from trivium.data.formats.svg import Box
from trivium.data.paths import locate

MAX_ALIASES = 8
"""Aliases of aliases are followed no further."""
PRESENTATION = "fe0f"
"""The code point that asks for a coloured drawing; sets differ in whether they write it."""


class Drawing(NamedTuple):
    """One SVG body, its box, and which icon it is (an alias may mirror its parent)."""

    icon: tuple[str, bool, bool]
    body: str
    box: Box


class Pack(NamedTuple):
    """One icon set: `names` are its icons and aliases, `chars` maps code points to them."""

    icons: Mapping[str, Mapping[str, Any]]
    aliases: Mapping[str, Mapping[str, Any]]
    chars: Mapping[str, str]
    defaults: Mapping[str, Any]
    licence: str
    author: str

    @property
    def names(self) -> list[str]:
        """Icons first, then aliases, in the order of the file."""
        return [*self.icons, *self.aliases]

    def drawing(self, name: str) -> Drawing | None:
        """The drawing of that name, through aliases; None if there is none or it is hidden.

        Raises:
            DataError: the entry of the icon is not of this layout.
        """
        try:
            return self._drawing(name)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{name}: not as expected in icons.json ({error!r})") from error

    def _drawing(self, name: str) -> Drawing | None:
        flips = [False, False]
        given: dict[str, Any] = {}
        for _ in range(MAX_ALIASES):
            entry = self.icons.get(name) or self.aliases.get(name)
            if entry is None or entry.get("hidden") or entry.get("rotate"):
                return None
            flips = [
                a != bool(entry.get(b)) for a, b in zip(flips, ("hFlip", "vFlip"), strict=True)
            ]
            given = {**entry, **given}
            if name in self.icons:
                facts = {"left": 0, "top": 0, "width": 16, "height": 16, **self.defaults, **given}
                box = Box(*(float(facts[key]) for key in Box._fields))
                body = _flipped(str(entry["body"]), box, *flips)
                return Drawing((name, *cast(tuple[bool, bool], tuple(flips))), body, box)
            name = str(entry["parent"])
        return None


def read_pack(folder: Path) -> Pack:
    """Read an unpacked icon set.

    Raises:
        DataError: a file is missing or not of this layout; the message names it.
    """
    read = {}
    for name in ("icons.json", "chars.json", "info.json"):
        read[name] = read_json(locate(folder, name))
    icons, info = read["icons.json"], read["info.json"]
    try:
        licence = f"{info['license']['spdx']} ({info['license']['url']})"
        author = f"{info['author']['name']} ({info['author']['url']})"
        chars = {code_points(key.split("-")): name for key, name in read["chars.json"].items()}
        defaults = {key: icons[key] for key in Box._fields if key in icons}
        return Pack(icons["icons"], icons.get("aliases", {}), chars, defaults, licence, author)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{folder} is no icon set as expected ({error!r})") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        DataError: the file cannot be read or holds something else.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no JSON file ({error})") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object, not {type(content).__name__}")
    return content


def code_points(numbers: list[str]) -> str:
    """Hexadecimal code points as one key: lower case, no leading zeros, no presentation mark."""
    plain = [f"{int(number, 16):x}" for number in numbers]
    return "-".join(number for number in plain if number != PRESENTATION)


def _flipped(body: str, box: Box, horizontal: bool, vertical: bool) -> str:
    if not (horizontal or vertical):
        return body
    x, y = (-1 if horizontal else 1), (-1 if vertical else 1)
    dx = 2 * box.left + box.width if horizontal else 0
    dy = 2 * box.top + box.height if vertical else 0
    return f'<g transform="translate({dx} {dy}) scale({x} {y})">{body}</g>'


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


VENDORS = (
    "noto",
    "noto-v1",
    "twemoji",
    "openmoji",
    "fluent-emoji-flat",
    "emojione",
    "emojione-v1",
)
"""Icon sets in the order in which one lends its names to those without code points."""
OLD_FLAG = "flag-for-"


def drawings_of(emoji: Sequence[Emoji], packs: Sequence[Pack]) -> Iterator[dict[str, Drawing]]:
    """Per vendor, from an emoji's code points to its drawing; an icon draws one emoji only.

    Three sets come without code points: their names are looked up in the other sets.

    Args:
        emoji: In Unicode's order; the first that asks for an icon gets it.
        packs: In the order of `VENDORS`.
    """
    lent: dict[str, str] = {}
    for pack in packs:
        for key, name in pack.chars.items():
            lent.setdefault(name, key)
    aliases = {
        alias: str(entry.get("parent")) for pack in packs for alias, entry in pack.aliases.items()
    }
    order = {one.key: position for position, one in enumerate(emoji)}
    for pack in packs:
        names = dict(pack.chars) or {
            lent_key: name
            for name in reversed(pack.names)  # so that the first name of an emoji stays
            if (lent_key := _lent(name, lent, aliases)) is not None
        }
        drawings: dict[str, Drawing] = {}
        taken = set()
        for key in sorted(names.keys() & order.keys(), key=order.__getitem__):
            drawing = pack.drawing(names[key])
            if drawing is not None and drawing.icon not in taken:
                taken.add(drawing.icon)
                drawings[key] = drawing
        yield drawings


def _lent(name: str, lent: Mapping[str, str], aliases: Mapping[str, str]) -> str | None:
    """Code points of a name by the other vendors' names: itself, its flag, or its alias."""
    tried = [name]
    if name.startswith(OLD_FLAG):
        plain = name.removeprefix(OLD_FLAG)
        # The plain name is tried for `flag-for-black-flag` only: Turkey's flag is no turkey.
        tried += [f"flag-{plain.removeprefix('flag-')}", *([plain] if "flag" in plain else [])]
    tried += [aliases[one] for one in tried if one in aliases]
    return next((lent[one] for one in tried if one in lent), None)
