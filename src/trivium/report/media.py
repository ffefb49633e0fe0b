"""Pictures, sounds, texts and retrieved examples of the runs, as data URIs of bounded size."""

import base64
import io
import json
import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from trivium.evaluation.results import EXAMPLES
from trivium.report.cells import Scores
from trivium.report.records import Measured
from trivium.report.retrieval import MAIN
from trivium.report.runs import Picture, Run

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


PICTURE_BUDGET = 3_000_000
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


SOUND_BUDGET = 1_500_000
"""Bytes of sounds that a page may carry over all sections (a third more as base64)."""
ORDER = ("input", "masked", "corrupted", "filled", "reconstruction", "sample")
"""Rows that are played first, in this order; then come all others by name."""
NEIGHBOURS = "neighbours"
"""What is played last: clips of the data, each before those that the encoder finds most alike."""


class Clip(NamedTuple):
    """A row of clips at one step, as a data URI."""

    step: int
    uri: str


class Track(NamedTuple):
    """One row of an objective: at the first step, unless it is the same there, and at the last."""

    name: str
    clips: tuple[Clip, ...]


class Playlist(NamedTuple):
    """What can be heard of one run."""

    run: Run
    tracks: tuple[Track, ...]


def playlists(runs: Sequence[Run], *, budget: int) -> tuple[Playlist, ...]:
    """One playlist per objective and encoder, of the first run that has any sounds.

    All last steps come first, the first track of every objective before any second; then the
    first steps, until `budget` bytes are used; what does not fit is left out.
    """
    shown: dict[tuple[str, str], Run] = {}
    for run in sorted(runs, key=lambda run: run.facts.seed):
        if run.sounds:
            shown.setdefault((run.facts.objective, run.facts.encoder), run)
    tracks = [_tracks(run) for run in shown.values()]
    clips: dict[tuple[int, int], list[Clip]] = {}
    for priority, rank, index, sound in sorted(
        (priority, rank, index, sound)
        for index, named in enumerate(tracks)
        for rank, steps in enumerate(named)
        for priority, sound in enumerate(_ends(steps))
    ):
        content = sound.path.read_bytes()
        is_reached = priority == 0 or (index, rank) in clips
        if is_reached and len(content) <= budget:
            budget -= len(content)
            clips.setdefault((index, rank), []).append(Clip(sound.step, _uri(content)))
    heard = [
        tuple(
            Track(steps[0].name, tuple(sorted(clips[index, rank])))
            for rank, steps in enumerate(named)
            if (index, rank) in clips
        )
        for index, named in enumerate(tracks)
    ]
    return tuple(Playlist(*pair) for pair in zip(shown.values(), heard, strict=True) if pair[1])


def _tracks(run: Run) -> list[list[Picture]]:
    """The sounds of a run by name, in the order in which they are to be heard."""
    named = [list(group) for _, group in groupby(run.sounds, key=lambda sound: sound.name)]
    return sorted(named, key=lambda steps: _place(steps[0].name))


def _place(name: str) -> tuple[int, str]:
    if name == NEIGHBOURS:
        return len(ORDER) + 1, name
    return ORDER.index(name) if name in ORDER else len(ORDER), name


def _ends(steps: list[Picture]) -> list[Picture]:
    """The last step, then the first where it sounds different."""
    first, last = steps[0], steps[-1]
    same = first is last or first.path.read_bytes() == last.path.read_bytes()
    return [last] if same else [last, first]


def _uri(content: bytes) -> str:
    return "data:audio/mpeg;base64," + base64.b64encode(content).decode()


MAX_SAMPLES = 6
"""Samples that one sheet shows at most."""
MEASURES = ("bits_per_byte", "perplexity")


class TextSamples(NamedTuple):
    """Some samples of one run under one name: of each, a text per row (input, continuation...)."""

    run: Run
    name: str
    step: int
    rows: tuple[str, ...]
    samples: tuple[tuple[str, ...], ...]


class Reading(NamedTuple):
    """Validation bits per byte and perplexity of a language model: mean, least and greatest."""

    objective: str
    paradigm: str
    num_seeds: int
    measures: dict[str, tuple[float, float, float]]


def sheets(runs: Sequence[Run]) -> tuple[TextSamples, ...]:
    """The last sheet under each name, of the first run of each objective that has any."""
    found: dict[tuple[str, str, str], TextSamples] = {}
    for run in sorted(runs, key=lambda run: run.facts.seed):
        for text in run.texts:
            key = (run.facts.objective, run.facts.encoder, text.name)
            if key in found and (found[key].run is not run or found[key].step >= text.step):
                continue
            rows: dict[str, list[str]] = json.loads(text.path.read_text(encoding="utf-8"))
            samples = tuple(zip(*rows.values(), strict=True))[:MAX_SAMPLES]
            found[key] = TextSamples(run, text.name, text.step, tuple(rows), samples)
    return tuple(found.values())


def readings(runs: Sequence[Run]) -> tuple[Reading, ...]:
    """The language measures of each objective that has any, over its seeds."""
    groups: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    for run in runs:
        measured = (run.metrics or {}).get("language")
        if measured:
            key = (run.facts.objective, run.facts.paradigm, run.facts.encoder)
            groups.setdefault(key, []).append(measured)
    return tuple(
        Reading(
            objective,
            paradigm,
            len(found),
            {
                name: (fmean(values), min(values), max(values))
                for name in MEASURES
                for values in [[one[name] for one in found]]
            },
        )
        for (objective, paradigm, _), found in groups.items()
    )


NOTE = (
    "Queries evenly spread over the test queries, whatever was found for them, each with its most "
    "similar candidates; ✓ marks right ones. By the method with the best recall@5, its first seed."
)


class Examples(NamedTuple):
    """Of one direction: `shown` are as `trivium.evaluation.retrieval` describes them."""

    paradigm: str
    objective: str
    seed: int
    shown: tuple[dict[str, Any], ...]


def examples_of(scores: Sequence[Scores], measured: Sequence[Measured]) -> Examples | None:
    """The examples of one place; None where no method left any.

    Raises:
        ValueError: A file of examples is not JSON.
    """
    recalls = {
        (one.cell.objective, one.cell.encoder): one.interval.mean
        for one in scores
        if one.cell.metric == MAIN and one.cell.split == "test"
    }
    kept = [one for one in measured if (one.entry.probe_folder / EXAMPLES).is_file()]
    ranked = sorted(
        kept,
        key=lambda one: (-recalls.get((one.facts.objective, one.facts.encoder), 0), one.facts.seed),
    )
    if not ranked:
        return None
    best = ranked[0]
    path = best.entry.probe_folder / EXAMPLES
    try:
        shown = tuple(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}): run the probe stage again.") from error
    return Examples(best.facts.paradigm, best.facts.objective, best.facts.seed, shown)
