"""One hue per paradigm, wherever runs are drawn: in the report and in the tracker."""

import zlib

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
