"""Pictures, sounds, texts and retrieved examples of the runs, as data URIs of bounded size."""

import base64
import io
import json
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from trivium.evaluation.results import EXAMPLES
from trivium.report.cells import Scores
from trivium.report.records import Measured
from trivium.report.retrieval import WITHIN
from trivium.report.runs import Run, Sample

PICTURE_BUDGET = 1_500_000
"""Bytes of pictures that a page may carry (a third more as base64)."""
SOUND_BUDGET = 1_500_000
"""Bytes of sounds that a page may carry (a third more as base64)."""
QUALITY = 80
"""Of WebP, in [0, 100]."""
MAX_FRAMES = 8
"""Steps that one strip shows at most."""
MAX_SAMPLES = 6
"""Samples that one sheet of texts shows at most."""
ORDER = ("input", "masked", "corrupted", "filled", "reconstruction", "sample")
"""Sounds that are played first, in this order; then come all others by name."""
NEIGHBOURS = "neighbours"
"""What is played last: clips of the data, each before those with the most similar features."""
MEASURES = ("bits_per_byte", "perplexity")
NOTE = (
    "Queries evenly spread over the test queries, whatever was found for them, each with its most "
    "similar candidates; ✓ marks right ones. By the method with the best recall@5, its first seed."
)


class Frame(NamedTuple):
    """A picture or sound at one step, as a data URI."""

    step: int
    uri: str


class Strip(NamedTuple):
    """What one run wrote under one name, oldest first."""

    run: Run
    name: str
    frames: tuple[Frame, ...]


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


class Examples(NamedTuple):
    """Of one direction: `shown` are as `trivium.evaluation.retrieval` describes them."""

    paradigm: str
    objective: str
    seed: int
    shown: tuple[dict[str, Any], ...]


def strips(runs: Sequence[Run], *, budget: int) -> tuple[Strip, ...]:
    """One strip per objective and picture name, of the objective's first run that has pictures.

    All last frames come first, then first frames, then those in between, until `budget` bytes
    are used; what does not fit is left out.
    """
    found = _by_name(runs, lambda run: run.pictures)
    order = [
        (priority, index, sample)
        for index, (_, samples) in enumerate(found)
        for priority, sample in enumerate(_last_first(thinned(samples)))
    ]
    return _within(budget, found, order, _webp)


def playlists(runs: Sequence[Run], *, budget: int) -> tuple[tuple[Strip, ...], ...]:
    """The sounds of each objective and encoder by name, of the first run that has them.

    Each is kept at its last step, and at its first one if that differs. All last steps come first,
    the first sound of every objective before any second, until `budget` bytes are used.
    """
    found = _by_name(runs, lambda run: run.sounds)
    found.sort(key=lambda one: _place(one[1][0].name))
    owners = list(dict.fromkeys((run.facts.objective, run.facts.encoder) for run in runs))
    order = [
        (priority, index, sample)
        for index, (_, samples) in enumerate(found)
        for priority, sample in enumerate(_ends(samples))
    ]
    kept = _within(budget, found, order, lambda sample: sample.path.read_bytes())
    grouped = (
        tuple(one for one in kept if (one.run.facts.objective, one.run.facts.encoder) == owner)
        for owner in owners
    )
    return tuple(one for one in grouped if one)


def text_samples(runs: Sequence[Run]) -> tuple[TextSamples, ...]:
    """The last texts under each name, of the first run of each objective that has any."""
    found = []
    for run, samples in _by_name(runs, lambda run: run.texts):
        last = samples[-1]
        rows: dict[str, list[str]] = json.loads(last.path.read_text(encoding="utf-8"))
        shown = tuple(zip(*rows.values(), strict=True))[:MAX_SAMPLES]
        found.append(TextSamples(run, last.name, last.step, tuple(rows), shown))
    return tuple(found)


def readings(runs: Sequence[Run]) -> tuple[Reading, ...]:
    """The language measures of each objective that has any, over its seeds."""
    groups: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    for run in runs:
        measured = (run.metrics or {}).get("language")
        if measured:
            key = (run.facts.objective, run.facts.paradigm, run.facts.encoder)
            groups.setdefault(key, []).append(measured)
    found = []
    for (objective, paradigm, _), mine in groups.items():
        values = {name: [one[name] for one in mine] for name in MEASURES}
        measures = {name: (fmean(each), min(each), max(each)) for name, each in values.items()}
        found.append(Reading(objective, paradigm, len(mine), measures))
    return tuple(found)


def examples_of(scores: Sequence[Scores], measured: Sequence[Measured]) -> Examples | None:
    """The retrieved examples of one place; None where no method has any.

    Raises:
        ValueError: A file of examples is not JSON.
    """
    recalls = {
        (one.cell.objective, one.cell.encoder): one.interval.mean
        for one in scores
        if one.cell.metric == WITHIN and one.cell.split == "test"
    }
    best = min(
        (one for one in measured if (one.entry.probe_folder / EXAMPLES).is_file()),
        key=lambda one: (-recalls.get((one.facts.objective, one.facts.encoder), 0), one.facts.seed),
        default=None,
    )
    if best is None:
        return None
    path = best.entry.probe_folder / EXAMPLES
    try:
        shown = tuple(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}): run the probe stage again.") from error
    return Examples(best.facts.paradigm, best.facts.objective, best.facts.seed, shown)


def thinned(samples: Sequence[Sample]) -> list[Sample]:
    """At most `MAX_FRAMES` of them, evenly spread, the first and the last among them."""
    places = np.linspace(0, len(samples) - 1, min(len(samples), MAX_FRAMES)).round().astype(int)
    return [samples[place] for place in places]


def webp(image: Image.Image) -> bytes:
    """A picture as WebP, a quarter of the run's PNG."""
    content = io.BytesIO()
    image.save(content, "WEBP", quality=QUALITY)
    return content.getvalue()


def data_uri(content: bytes) -> str:
    """A WebP picture or an MP3 sound as a data URI."""
    kind = "image/webp" if content[:4] == b"RIFF" else "audio/mpeg"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


Named = tuple[Run, list[Sample]]
"""A run and its samples of one name, oldest first."""


def _by_name(runs: Sequence[Run], samples_of: Callable[[Run], Sequence[Sample]]) -> list[Named]:
    """The samples of each objective, encoder and name, of the first seed that has them."""
    found: dict[tuple[str, str, str], Named] = {}
    for run in sorted(runs, key=lambda run: run.facts.seed):
        for sample in samples_of(run):
            key = (run.facts.objective, run.facts.encoder, sample.name)
            owner, mine = found.setdefault(key, (run, []))
            if owner is run:
                mine.append(sample)
    return list(found.values())


def _within(
    budget: int,
    found: Sequence[Named],
    order: Sequence[tuple[int, int, Sample]],
    content_of: Callable[[Sample], bytes],
) -> tuple[Strip, ...]:
    """Strips of what fits into a budget, by priority; none without its first priority."""
    frames: dict[int, list[Frame]] = {index: [] for index in range(len(found))}
    for priority, index, sample in sorted(order):
        if budget <= 0:
            break
        content = content_of(sample)
        if len(content) <= budget and (priority == 0 or frames[index]):
            budget -= len(content)
            frames[index].append(Frame(sample.step, data_uri(content)))
    return tuple(
        Strip(run, samples[0].name, tuple(sorted(frames[index])))
        for index, (run, samples) in enumerate(found)
        if frames[index]
    )


def _webp(sample: Sample) -> bytes:
    with Image.open(sample.path) as image:
        return webp(image)


def _last_first(samples: list[Sample]) -> list[Sample]:
    """The last, the first, then the others."""
    return [samples[-1], *samples[:-1]]


def _ends(samples: list[Sample]) -> list[Sample]:
    """The last sound, then the first one if it differs."""
    first, last = samples[0], samples[-1]
    same = first is last or first.path.read_bytes() == last.path.read_bytes()
    return [last] if same else [last, first]


def _place(name: str) -> tuple[int, str]:
    if name == NEIGHBOURS:
        return len(ORDER) + 1, name
    return ORDER.index(name) if name in ORDER else len(ORDER), name
