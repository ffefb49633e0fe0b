"""Drawn pictures of the runs as data URIs, within a size that keeps the page quick."""

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from trivium.comparison.runs import Picture, Run

BUDGET = 3_000_000
"""Bytes of pictures that a page may carry over all sections (a third more as base64)."""
QUALITY = 80
"""Of WebP, in [0, 100]."""
MAX_FRAMES = 8
"""Steps that one strip shows at most."""


class Frame(NamedTuple):
    """A picture at one step, as a data URI."""

    step: int
    uri: str


class Strip(NamedTuple):
    """What one run drew under one name over its steps, oldest first."""

    run: Run
    name: str
    frames: tuple[Frame, ...]


def strips(runs: Sequence[Run], *, budget: int) -> tuple[Strip, ...]:
    """One strip per objective and picture name, of the objective's first run that has pictures.

    All last frames come first, then first frames, then those in between, until `budget` bytes
    are used; what does not fit is left out.
    """
    shown: dict[tuple[str, str, str, str], tuple[Run, list[Picture]]] = {}
    for run in sorted(runs, key=lambda run: run.facts.seed):
        for picture in run.pictures:
            facts = run.facts
            key = (facts.dataset, facts.objective, facts.encoder, picture.name)
            owner, found = shown.setdefault(key, (run, []))
            if owner is run:
                found.append(picture)
    ranked = sorted(
        (priority, index, picture)
        for index, (_, found) in enumerate(shown.values())
        for priority, picture in enumerate(_by_priority(found))
    )
    frames: dict[int, list[Frame]] = {index: [] for index in range(len(shown))}
    for _, index, picture in ranked:
        if budget <= 0:
            break
        with Image.open(picture.path) as drawn:
            content = compressed(drawn)
        if len(content) <= budget:
            budget -= len(content)
            frames[index].append(Frame(picture.step, uri(content)))
    return tuple(
        Strip(run, key[3], tuple(sorted(frames[index])))
        for index, (key, (run, _)) in enumerate(shown.items())
        if frames[index]
    )


def _by_priority(found: Sequence[Picture]) -> list[Picture]:
    """Last, first, then the others, thinned evenly to `MAX_FRAMES`."""
    last = len(found) - 1
    num = min(MAX_FRAMES, len(found))
    kept = {round(i * last / max(num - 1, 1)) for i in range(num)} | {last}
    middle = sorted(kept - {0, last})
    return [found[i] for i in dict.fromkeys([last, 0, *middle])]


def compressed(drawn: Image.Image) -> bytes:
    """A picture as WebP, a quarter of the run's PNG."""
    content = io.BytesIO()
    drawn.save(content, "WEBP", quality=QUALITY)
    return content.getvalue()


def uri(content: bytes) -> str:
    """A WebP picture as a data URI."""
    return "data:image/webp;base64," + base64.b64encode(content).decode()
