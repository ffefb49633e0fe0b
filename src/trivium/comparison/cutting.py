"""Sheets of samples that runs drew, cut into their samples and laid out anew."""

import math
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


def upto_change(first: Iterable[Any], last: Iterable[Any]) -> int:
    """How many rows to show: what training does not change, and the first row that it does."""
    same = [np.array_equal(*pair) for pair in zip(first, last, strict=True)]
    return same.index(False) + 1 if False in same else len(same)


def laid_out(samples: Samples) -> Image.Image:
    """Samples on a clear ground, their columns in full lines so that it is about a square.

    Columns that would not fill a line may be left out.
    """
    num_rows, num_columns, height, width, _ = samples.shape
    across = min(
        range(num_columns, 0, -1),
        key=lambda num: _untidiness(num, num_columns, width / (num_rows * height)),
    )
    num_lines = num_columns // across
    down = num_rows * (height + GAP) - GAP
    canvas = Image.new(
        "RGBA",
        (across * (width + GAP) - GAP, num_lines * (down + WIDE_GAP) - WIDE_GAP),
    )
    for row in range(num_rows):
        for column in range(num_lines * across):
            line, place = divmod(column, across)
            where = (place * (width + GAP), line * (down + WIDE_GAP) + row * (height + GAP))
            canvas.paste(Image.fromarray(samples[row, column]), where)
    return canvas


def _untidiness(across: int, num_columns: int, shape: float) -> float:
    """How far lines of so many columns are from a square, and how much is left out."""
    num_lines = num_columns // across
    left_out = 1 - num_lines * across / num_columns
    return abs(math.log(shape * across / num_lines)) + 2 * left_out


def _count(white: Bool[np.ndarray, " line"]) -> int:
    """The most parts of equal size that all begin and end with a white line."""
    length = len(white)
    for num in range(length // SMALLEST, 1, -1):
        size, rest = divmod(length, num)
        if not rest and white[::size].all() and white[size - 1 :: size].all():
            return num
    return 1
