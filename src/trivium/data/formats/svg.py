"""SVG drawings from outside: harmless elements are kept, then rendered."""

import re
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

import numpy as np
from jaxtyping import UInt8

from trivium.data.errors import DataError
from trivium.data.formats.media import decode_picture

ELEMENTS = frozenset({
    "svg", "g", "defs", "symbol", "use", "title", "desc",
    "path", "rect", "circle", "ellipse", "line", "polyline", "polygon",
    "linearGradient", "radialGradient", "stop", "clipPath", "mask", "filter",
    "feBlend", "feColorMatrix", "feComposite", "feFlood", "feGaussianBlur", "feOffset",
})  # fmt: skip
"""Shapes, paints and groups alone: no pictures, texts, styles, scripts or foreign content."""
HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'viewBox="{left} {top} {side} {side}" width="{size}" height="{size}">'
)


class Bounds(NamedTuple):
    """What one drawing may cost."""

    max_bytes: int = 1 << 20
    max_elements: int = 20_000
    max_depth: int = 32
    max_uses: int = 200


class Box(NamedTuple):
    """The part of the plane that a drawing fills, in its own units."""

    left: float
    top: float
    width: float
    height: float


def render(
    body: str,
    box: Box,
    size: int,
    name: str,
    bounds: Bounds = Bounds(),  # noqa: B008
) -> UInt8[np.ndarray, "3 size size"]:
    """Draw what stands inside of an `<svg>` on white, centred in a square of `size` pixels.

    The drawing keeps its aspect. The renderer itself would open files that a drawing names and
    crashes on deep nesting, so a drawing is checked before it gets there.

    Args:
        body: The elements, without the `<svg>` around them.
        box: Where in the plane they lie.
        size: Side of the picture in pixels.
        name: What to call it in messages.
        bounds: What it may cost.

    Raises:
        DataError: not well-formed, out of bounds, something that is not on the list, a
            reference that leaves the drawing, or nothing visible.
    """
    import resvg_py

    if len(body.encode()) > bounds.max_bytes or not (min(box[2:]) > 0 and max(box[2:]) < 1e5):
        raise DataError(f"{name}: {len(body)} characters of box {tuple(box)} are out of bounds")
    side = max(box.width, box.height)
    left, top = box.left - (side - box.width) / 2, box.top - (side - box.height) / 2
    text = HEAD.format(left=left, top=top, side=side, size=size) + body + "</svg>"
    _Check(name, bounds).run(text)
    try:
        encoded = resvg_py.svg_to_bytes(svg_string=text, background="#fff", skip_system_fonts=True)
    except ValueError as error:
        raise DataError(f"{name} cannot be drawn ({error})") from error
    pixels = decode_picture(encoded, (3, size, size), name)
    if pixels.min() == 255:
        raise DataError(f"{name}: the drawing is empty")
    return pixels


class _Check:
    """Walks through a drawing without building a tree."""

    def __init__(self, name: str, bounds: Bounds) -> None:
        self.name = name
        self.bounds = bounds
        self.num_elements = self.num_uses = 0
        self.ids: list[str | None] = []
        self.used: set[str] = set()
        self.around_use: set[str] = set()

    def run(self, text: str) -> None:
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        try:
            parser.Parse(text, True)
        except expat.ExpatError as error:
            raise DataError(f"{self.name} is not well-formed ({error})") from error
        # Uses inside of what is used would multiply without bound.
        if self.used & self.around_use:
            self._refuse("a use inside of a used element")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self.num_elements += 1
        if len(self.ids) >= self.bounds.max_depth or self.num_elements > self.bounds.max_elements:
            self._refuse("too deep or too many elements")
        if tag not in ELEMENTS:
            self._refuse(f"element <{tag}>")
        for key, value in attributes.items():
            plain = value.replace(" ", "").replace("'", "").replace('"', "").lower()
            outside = plain.count("url(") != plain.count("url(#")
            if outside or (key.rpartition(":")[2] == "href" and not value.startswith("#")):
                self._refuse(f"{key}={value[:40]!r} leaves the drawing")
        if tag == "use":
            self.num_uses += 1
            if self.num_uses > self.bounds.max_uses:
                self._refuse("too many uses")
            self.used |= {v[1:] for k, v in attributes.items() if k.rpartition(":")[2] == "href"}
            self.around_use |= {name for name in self.ids if name is not None}
        self.ids.append(attributes.get("id"))

    def _end(self, _tag: str) -> None:
        self.ids.pop()

    def _refuse(self, what: str) -> None:
        raise DataError(f"{self.name}: refused: {what}")


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
