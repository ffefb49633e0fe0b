"""One colour per paradigm, in light and in dark; distinguishable with any colour vision."""

import zlib
from collections.abc import Iterable

LIGHT = {
    "supervised": ("#0b62a4", "#4e97d1", "#08406b", "#7fb4de"),
    "unsupervised": ("#c2500a", "#e58a45", "#8a3703", "#efab78"),
    "self_supervised": ("#0a7d5c", "#3fb08d", "#06543e", "#7fccb3"),
    "control": ("#6b7078", "#9aa0a8", "#4b4f55", "#b9bec5"),
}
"""Shades of each paradigm on a light ground: blue, vermilion, green (Okabe and Ito), and grey."""


def run_colour(paradigm: str, objective: str) -> str:
    """A colour for a run: the paradigm's hue, in a shade that depends on the objective's name."""
    shades = LIGHT[paradigm]
    return shades[zlib.crc32(objective.encode()) % len(shades)]


Shades = dict[tuple[str, str], tuple[str, str]]
"""Colour and marker by (paradigm, objective)."""

NAMES = {
    "supervised": "supervised",
    "unsupervised": "unsupervised",
    "self_supervised": "self-supervised",
    "control": "control",
}

DARK = {
    "supervised": ("#5fb0f0", "#a5d2f8", "#3a8fd6", "#c9e3fb"),
    "unsupervised": ("#f5924a", "#fbbf93", "#d9722a", "#fdd9bd"),
    "self_supervised": ("#3fc79b", "#97e3cb", "#22a37b", "#c3f0e2"),
    "control": ("#9aa1ab", "#c4c9d0", "#7b828c", "#dde0e4"),
}

INK = ("#1d2126", "#e8e6e1")
"""Text of figures, in light and in dark."""
GRID = ("#e3e1db", "#34383e")
"""Grid lines of figures, in light and in dark."""
CLASSES = (
    "#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951",
    "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0",
)  # fmt: skip
"""Classes of embedding maps (Observable's ten; they hold on light and on dark ground)."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star")


def darkened() -> dict[str, str]:
    """Each light colour's dark counterpart, for the page to exchange when the theme changes."""
    pairs = {INK[0]: INK[1], GRID[0]: GRID[1]}
    for paradigm in LIGHT:
        pairs |= dict(zip(LIGHT[paradigm], DARK[paradigm], strict=True))
    return pairs


def shades(rows: Iterable[tuple[str, str]]) -> Shades:
    """Colour and marker for each (paradigm, objective), in alphabetical order."""
    found: Shades = {}
    counts = dict.fromkeys(LIGHT, 0)
    for paradigm, objective in sorted(set(rows)):
        index = counts[paradigm]
        counts[paradigm] += 1
        colours = LIGHT[paradigm]
        found[paradigm, objective] = (
            colours[index % len(colours)],
            SYMBOLS[index % len(SYMBOLS)],
        )
    return found
