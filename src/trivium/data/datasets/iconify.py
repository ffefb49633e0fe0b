"""Icon sets in Iconify's JSON layout: `icons.json`, `chars.json` and `info.json` of a package."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from trivium.data.datasets.locate import locate
from trivium.data.datasets.svg import Box
from trivium.data.errors import DataError

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
