"""What the runs on text wrote: samples at the last step, and how well language models read."""

import json
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from trivium.comparison.runs import Run

MAX_SAMPLES = 6
"""Samples that one sheet shows at most."""
MEASURES = ("bits_per_byte", "perplexity")


class Sheet(NamedTuple):
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


def sheets(runs: Sequence[Run]) -> tuple[Sheet, ...]:
    """The last sheet under each name, of the first run of each objective that has any."""
    found: dict[tuple[str, str, str], Sheet] = {}
    for run in sorted(runs, key=lambda run: run.facts.seed):
        for text in run.texts:
            key = (run.facts.objective, run.facts.encoder, text.name)
            if key in found and (found[key].run is not run or found[key].step >= text.step):
                continue
            rows: dict[str, list[str]] = json.loads(text.path.read_text(encoding="utf-8"))
            samples = tuple(zip(*rows.values(), strict=True))[:MAX_SAMPLES]
            found[key] = Sheet(run, text.name, text.step, tuple(rows), samples)
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
