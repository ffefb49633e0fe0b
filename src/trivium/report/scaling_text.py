"""What a ladder says, in words and in rows of a table."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from trivium.report import tables
from trivium.report.bootstrap import Interval
from trivium.report.scaling import Fit, MethodComparison, Scaling
from trivium.report.scaling_points import AXES, Axis, Measure
from trivium.report.tables import fraction, label

QUESTION = "What does more of it buy?"


class Climb(NamedTuple):
    """Everything that is said of one axis of one ladder."""

    axis: Axis
    headline: str
    sentences: tuple[str, ...]
    fits: tuple[Fit, ...]
    contests: tuple[MethodComparison, ...]


def climbs(ladder: Scaling) -> tuple[Climb, ...]:
    """Each axis along which the ladder grows."""
    found = []
    for axis in AXES:
        fits = tuple(fit for fit in ladder.fits if fit.axis == axis)
        contests = tuple(one for one in ladder.contests if one.first.axis == axis)
        if fits:
            words = (*_gains(fits), *_verdicts(contests))
            found.append(Climb(axis, headline(axis, contests), words, fits, contests))
    return tuple(found)


def headline(axis: Axis, contests: Sequence[MethodComparison]) -> str:
    """Who gains most from more of it, by the errors with the most labels, if that can be told."""
    if not contests:
        return f"More {axis.words}: too few rungs or ways to compare"
    last = [one for one in contests if one.first.measure == contests[-1].first.measure]
    names = dict.fromkeys(fit.way.objective for one in last for fit in (one.first, one.second))
    for name in names:
        if all(one.winner == name for one in last if name in one.objectives):
            return f"More {axis.words}: {label(name)} gains most"
    if any(one.winner for one in last):
        return f"More {axis.words}: some ways gain more than others, none more than all"
    return f"More {axis.words}: no way demonstrably gains more than another"


def _gains(fits: Sequence[Fit]) -> list[str]:
    """One sentence for each method: its errors at ten times as much."""
    mine: dict[str, list[Fit]] = {}
    for fit in fits:
        if fit.measure.is_error:
            mine.setdefault(fit.way.objective, []).append(fit)
    found = []
    for objective, own in mine.items():
        told = [
            f"{gain(fit.slope)} {_labels(fit.measure)}"
            + (f" (though not by a power law: {fit.off})" if fit.off else "")
            for fit in own
            if fit.slope
        ]
        said = "; ".join(told) or f"{own[0].note}, so nothing is fitted"
        found.append(f"{label(objective)}: {said}.")
    return found


def gain(slope: Interval) -> str:
    """What ten times as much does to the errors, by the exponent of a power law."""
    if np.isnan(slope.low):
        mean = round(100 * (1 - 10.0**-slope.mean))
        return f"{abs(mean)} % {'fewer' if mean > 0 else 'more'} errors (no interval)"
    mean, low, high = (round(100 * (1 - 10.0**-value)) for value in slope[:3])
    if slope.low > 0:
        return f"{mean} % [{low}, {high}] fewer errors"
    if slope.high < 0:
        return f"{-mean} % [{-high}, {-low}] more errors"
    return f"no change that can be told from none ({mean} % [{low}, {high}] fewer errors)"


def _labels(measure: Measure) -> str:
    assert measure.fraction is not None
    shown = "all labels" if measure.fraction == 1 else f"{fraction(measure.fraction)} of the labels"
    return f"with {shown}"


def _verdicts(contests: Sequence[MethodComparison]) -> list[str]:
    """Which exponents differ, and which cannot be told apart."""
    found = []
    for measure in dict.fromkeys(one.first.measure for one in contests):
        faster: dict[str, list[str]] = {}
        tied = []
        for one in contests:
            if one.first.measure == measure:
                first, second = map(label, one.objectives)
                if one.winner:
                    loser = second if label(one.winner) == first else first
                    faster.setdefault(label(one.winner), []).append(loser)
                else:
                    tied.append(f"{first} and {second}")
        words = [f"{name} falls faster than {' and '.join(faster[name])}" for name in faster]
        words += ["not distinguishable: " + ", ".join(tied)] if tied else []
        found.append(f"Exponents {_labels(measure)}: {'; '.join(words)}.")
    return found


def bounded(interval: Interval | None, form: str = "%.3f", scale: float = 1.0) -> str:
    """A figure with its interval; a dash if there is none."""
    if interval is None:
        return "-"
    mean, low, high = (scale * value for value in interval[:3])
    if np.isnan(low):
        return form % mean
    return f"{form % mean} [{form % low}, {form % high}]"


def floor_of(fit: Fit) -> str:
    """The floor of a fit with the exponent above it, or why there is none."""
    if fit.floor is None:
        return fit.note
    scale, form = (100.0, "%.1f") if fit.measure.is_error else (1.0, "%.3g")
    unit = " %" if fit.measure.is_error else ""
    return f"{bounded(fit.floor, form, scale)}{unit}, above it b = {bounded(fit.exponent)}"


def markdown(ladder: Scaling) -> str:
    """The sentences and the exponents in Markdown."""
    parts = []
    for climb in climbs(ladder):
        rows = [
            (
                fit.measure.name,
                label(fit.way.objective),
                str(len(fit.points)),
                bounded(fit.slope),
                floor_of(fit),
            )
            for fit in climb.fits
        ]
        parts += [f"### {climb.headline}", f"With ten times the {climb.axis.words}:"]
        parts.append("\n".join(f"- {sentence}" for sentence in climb.sentences))
        parts.append(
            tables.markdown(("measure", "objective", "rungs", "exponent b", "floor"), rows)
        )
    return "\n\n".join(parts) + "\n"


def row(fit: Fit) -> dict[str, object]:
    """A fit as `scaling.json` lists it."""
    return {
        "axis": fit.axis.name,
        "measure": fit.measure.name,
        "fraction": fit.measure.fraction,
        "paradigm": fit.way.paradigm,
        "objective": fit.way.objective,
        "points": [{"rung": p.rung.name, "x": p.x, **_bounds(*p[2:])} for p in fit.points],
        **{
            name: value and _bounds(*value[:3])
            for name in ("slope", "exponent", "floor")
            for value in (getattr(fit, name),)
        },
        "factor": None if np.isnan(fit.factor) else fit.factor,
        "off": fit.off,
        "note": fit.note,
    }


def contest_row(one: MethodComparison) -> dict[str, object]:
    """A comparison of exponents as `scaling.json` lists it."""
    return {
        "axis": one.first.axis.name,
        "measure": one.first.measure.name,
        "first": one.first.way.objective,
        "second": one.second.way.objective,
        **_bounds(*one.difference[:3]),
        "adjusted": one.adjusted,
        "verdict": one.verdict,
    }


def _bounds(*values: float) -> dict[str, float | None]:
    known = [None if np.isnan(value) else float(value) for value in values]
    return dict(zip(("mean", "low", "high"), known, strict=True))
