"""SVG drawings from outside: checked against a short list of what they may hold, then rendered."""

from typing import NamedTuple
from xml.parsers import expat

import numpy as np
from jaxtyping import UInt8

from trivium.data.datasets.decode import decode
from trivium.data.errors import DataError

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
    pixels = decode(encoded, (3, size, size), name)
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
