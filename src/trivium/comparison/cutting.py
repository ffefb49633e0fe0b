"""Sheets of samples that runs drew, cut into their samples and laid out anew."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

WHITE = 255
EDGE = 2
"""Pixels around a sample that are the sheet's white ground."""
SMALLEST = 8
"""Pixels of a sample at least, across or down."""
GAP, WIDE_GAP = 4, 18
"""Pixels between samples, and between lines of them."""

Sheet = UInt8[np.ndarray, "height width 3"]
Samples = UInt8[np.ndarray, "row column down across 3"]


def cut(sheets: Sequence[Sheet]) -> list[Samples]:
    """The samples of sheets of one layout.

    Samples are of one size and stand on a white ground, so the layout is the finest grid all of
    whose cells have white edges, on every sheet.
    """
    white = np.minimum.reduce(list(sheets)) == WHITE
    num_rows = _count(white.all(axis=(1, 2)))
    num_columns = _count(white.all(axis=(0, 2)))
    height, width = white.shape[0] // num_rows, white.shape[1] // num_columns
    return [
        sheet.reshape(num_rows, height, num_columns, width, 3).swapaxes(1, 2)[
            :, :, EDGE : height - EDGE, EDGE : width - EDGE
        ]
        for sheet in sheets
    ]


def upto_change(first: Iterable[object], last: Iterable[object]) -> int:
    """How many rows to show: what training does not change, and the first row that it does."""
    pairs: Any = zip(first, last, strict=True)
    same = [np.array_equal(*pair) for pair in pairs]
    return same.index(False) + 1 if False in same else len(same)


def laid_out(samples: Samples) -> Image.Image:
    """Samples on a clear ground, in lines of columns until it is about as wide as high."""
    num_rows, num_columns, height, width, _ = samples.shape
    num_lines = min(
        (n for n in range(1, num_columns + 1) if num_columns % n == 0),
        key=lambda n: abs(np.log(num_columns * width / (n * n * num_rows * height))),
    )
    across = num_columns // num_lines
    down = num_rows * (height + GAP) - GAP
    canvas = Image.new(
        "RGBA",
        (across * (width + GAP) - GAP, num_lines * (down + WIDE_GAP) - WIDE_GAP),
    )
    for row in range(num_rows):
        for column in range(num_columns):
            line, place = divmod(column, across)
            where = (place * (width + GAP), line * (down + WIDE_GAP) + row * (height + GAP))
            canvas.paste(Image.fromarray(samples[row, column]), where)
    return canvas


def _count(white: Bool[np.ndarray, " line"]) -> int:
    """The most parts of equal size that all begin and end with a white line."""
    length = len(white)
    for num in range(length // SMALLEST, 1, -1):
        size, rest = divmod(length, num)
        if not rest and white[::size].all() and white[size - 1 :: size].all():
            return num
    return 1
