"""Whole SVG files from outside: what is harmless and visible of them is kept, then drawn."""

import re
from pathlib import Path
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

import numpy as np
from jaxtyping import UInt8

from trivium.data.datasets.svg import ELEMENTS, Bounds, Box, render
from trivium.data.errors import DataError

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
LENGTH = re.compile(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([a-z]*)\s*")
PAINT = {"fill", "fill-rule", "stroke", "style"}
"""What the root says of all that is in it."""
UNITS = {"": 1, "px": 1, "pt": 4 / 3, "pc": 16, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96}
"""Pixels of the units in which a file may tell its size."""


def render_file(path: Path, size: int) -> UInt8[np.ndarray, "3 size size"]:
    """Draw an SVG file on white, centred in a square of `size` pixels.

    Editors write more than shapes into their files: elements that are not on the list of `render`
    (metadata, texts, pictures, styles, foreign content) are left out with all that is in them.

    Raises:
        DataError: not well-formed, too large, without a size, or refused by `render`.
    """
    if path.stat().st_size > Bounds().max_bytes:
        raise DataError(f"{path}: more than {Bounds().max_bytes} bytes are too many for a drawing")
    reader = _Reader(path)
    return render("".join(reader.kept), reader.box(), size, str(path))


class _Reader:
    """Writes anew what it knows of a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept: list[str] = []
        self.root: dict[str, str] = {}
        self.depth = self.skipped_at = 0  # the latter is 0 unless something is being skipped
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.EntityDeclHandler = self._entity
        try:
            parser.Parse(path.read_bytes(), True)
        except expat.ExpatError as error:
            raise DataError(f"{path} is not well-formed ({error})") from error

    def box(self) -> Box:
        """What the file shows: its view box, or else its width and height."""
        given = self.root.get("viewBox")
        try:
            if given is not None:
                return Box(*map(float, given.replace(",", " ").split()))
            return Box(0, 0, *(_pixels(self.root[side]) for side in ("width", "height")))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{self.path}: no viewBox, width and height tell its size") from error

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.skipped_at:
            return
        name = self._known(tag)
        if not name:
            self.skipped_at = self.depth
            return
        if self.depth == 1:
            self.root = attributes
            attributes = {key: attributes[key] for key in attributes if key in PAINT}
        # A namespace of an editor's own means nothing to the renderer.
        own = ((_name(key), value) for key, value in attributes.items())
        told = "".join(f" {key}={quoteattr(value)}" for key, value in own if key)
        self.kept.append(f"<{name}{told}>")

    def _end(self, tag: str) -> None:
        if not self.skipped_at:
            self.kept.append(f"</{self._known(tag)}>")
        elif self.skipped_at == self.depth:
            self.skipped_at = 0
        self.depth -= 1

    def _known(self, tag: str) -> str:
        """What an element is called anew; empty if it is left out."""
        space, _, name = tag.rpartition(" ")
        if space == SVG and (name == "switch" or self.depth == 1):
            return "g"  # a switch's foreign content is left out, so that its drawing is shown
        return name if space == SVG and name in ELEMENTS else ""

    def _entity(self, name: str, _parameter: int, value: str | None, *_: object) -> None:
        if value is None or "&" in value:  # in a file, or made of others: it could grow
            raise DataError(f"{self.path}: refused: entity {name}")


def _name(key: str) -> str:
    space, _, name = key.rpartition(" ")
    return {"": name, XLINK: f"xlink:{name}"}.get(space, "")


def _pixels(length: str) -> float:
    match = LENGTH.fullmatch(length)
    if not match or match[2] not in UNITS:
        raise ValueError(length)
    return float(match[1]) * UNITS[match[2]]
