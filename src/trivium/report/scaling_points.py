"""The rungs of a ladder: how large each was, and what was measured of it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from trivium.report.bootstrap import Resampling
from trivium.report.cells import group, resamplings_of
from trivium.report.records import Measured
from trivium.report.runs import Run
from trivium.report.tables import fraction

PROBE = "linear"
NUM_SHARES = 2
"""Only so many of the shares of labels, the largest, are evaluated."""


class Axis(NamedTuple):
    """A quantity that grows along a ladder while the others are held."""

    name: Literal["num_parameters", "flops", "items"]
    words: str
    held: tuple[str, ...]


AXES = (
    Axis("num_parameters", "parameters of the encoder", ("samples", "items")),
    Axis("flops", "training FLOPs", ("num_parameters", "items")),
    Axis("items", "training samples", ("num_parameters", "samples")),
)


class Measure(NamedTuple):
    """What falls: the test error of a probe at a share of the labels, or the objective's loss."""

    name: str
    fraction: float | None

    @property
    def is_error(self) -> bool:
        """Whether it is the same quantity for every way of learning."""
        return self.fraction is not None


LOSS = Measure("validation loss", None)


class ScalingPoint(NamedTuple):
    """One way of learning at one size; `values` and `worlds` by measure."""

    name: str
    num_parameters: int
    flops: int
    samples: int
    items: int
    values: Mapping[Measure, Float[np.ndarray, "seed draw item"]]
    worlds: Mapping[Measure, Float32[np.ndarray, "replicate seed draw"]]


class Method(NamedTuple):
    """A paradigm's objective and the rungs that it was trained on."""

    paradigm: str
    objective: str
    rungs: tuple[ScalingPoint, ...]


def read_methods(
    measured: Sequence[Measured], runs: Sequence[Run]
) -> tuple[tuple[Method, ...], tuple[Measure, ...], Resampling]:
    """Every way of learning on one dataset, what was measured of all, and how it is resampled.

    Raises:
        ValueError: if a run's folder does not say how large it was.
    """
    mine = [_errors_only(one) for one in measured]
    (resampling,) = resamplings_of(mine).values()
    shares = sorted({record.fraction for one in mine for record in one.records})[-NUM_SHARES:]
    measures = {
        share: Measure(f"test error, {fraction(share)} of the labels", share) for share in shares
    }
    values: dict[str, dict[Measure, np.ndarray]] = defaultdict(dict)
    worlds: dict[str, dict[Measure, np.ndarray]] = defaultdict(dict)
    for scores in group(mine, {resampling.num_items: resampling}):
        if scores.cell.fraction in measures:
            measure = measures[scores.cell.fraction]
            values[scores.cell.objective][measure] = 1 - scores.values
            worlds[scores.cell.objective][measure] = 1 - scores.worlds
    rungs: dict[tuple[str, str], list[ScalingPoint]] = defaultdict(list)
    for objective in values:
        first = next(one for one in mine if one.facts.objective == objective)
        name = first.entry.variant
        sizes = [_size(run) for run in runs if run.facts.objective == objective]
        losses = np.array([size.pop("held_out") for size in sizes], dtype=np.float64)
        if (losses > 0).all():
            values[objective][LOSS] = losses.reshape(-1, 1, 1)
            worlds[objective][LOSS] = resampling.worlds(values[objective][LOSS])
        facts = {key: round(np.mean([size[key] for size in sizes])) for key in SIZES}
        way = first.facts.paradigm, objective.removesuffix(f" · {name}")
        rungs[way].append(
            ScalingPoint(name, **facts, values=values[objective], worlds=worlds[objective])
        )
    found = tuple(Method(*way, tuple(members)) for way, members in rungs.items())
    has_loss = all(LOSS in rung.values for way in found for rung in way.rungs)
    return found, (*measures.values(), *([LOSS] if has_loss else [])), resampling


def _errors_only(one: Measured) -> Measured:
    kept = [r for r in one.records if (r.split, r.metric, r.probe) == ("test", "accuracy", PROBE)]
    return replace(one, records=tuple(kept))


SIZES = ("num_parameters", "flops", "samples", "items")


def _size(run: Run) -> dict[str, float]:
    try:
        metrics = run.metrics or {}
        # No loss is as good as none that a power law could be fitted to.
        return {name: metrics[name] for name in SIZES} | {"held_out": metrics.get("held_out", -1)}
    except KeyError as error:
        raise ValueError(
            f"The run of {run.facts.objective}, seed {run.facts.seed}, does not say its {error}: "
            "pretrain this cell again."
        ) from error


def points_along(axis: Axis, way: Method) -> tuple[ScalingPoint, ...]:
    """The most rungs that differ in one quantity alone, in its order; none if there is but one."""
    groups: dict[tuple[int, ...], dict[int, ScalingPoint]] = defaultdict(dict)
    for rung in way.rungs:
        held = tuple(getattr(rung, name) for name in axis.held)
        groups[held].setdefault(getattr(rung, axis.name), rung)
    largest = max(groups.values(), key=len)
    return tuple(largest[x] for x in sorted(largest)) if len(largest) > 1 else ()
