"""What a ladder says, in words and in rows of a table."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

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
        faster = [
            (one.first.way.objective == name and one.verdict == "falls faster")
            or (one.second.way.objective == name and one.verdict == "falls slower")
            for one in last
            if name in (one.first.way.objective, one.second.way.objective)
        ]
        if all(faster):
            return f"More {axis.words}: {label(name)} gains most"
    if any(one.verdict != "not distinguishable" for one in last):
        return f"More {axis.words}: some ways gain more than others, none more than all"
    return f"More {axis.words}: no way demonstrably gains more than another"


def _gains(fits: Sequence[Fit]) -> list[str]:
    """One sentence for each way: its errors at ten times as much."""
    found = []
    for way in dict.fromkeys((fit.way.paradigm, fit.way.objective) for fit in fits):
        mine = [f for f in fits if (f.way.paradigm, f.way.objective) == way and f.measure.is_error]
        told = [
            f"{gain(fit.slope)} {_labels(fit.measure)}"
            + (f" (though not by a power law: {fit.off})" if fit.off else "")
            for fit in mine
            if fit.slope
        ]
        if told:
            found.append(f"{label(way[1])}: {'; '.join(told)}.")
        elif mine:
            found.append(f"{label(way[1])}: {mine[0].note}, so nothing is fitted.")
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
        mine = [one for one in contests if one.first.measure == measure]
        faster: dict[str, list[str]] = {}
        for one in mine:
            sides = [label(fit.way.objective) for fit in (one.first, one.second)]
            if one.verdict != "not distinguishable":
                winner, loser = sides if one.verdict == "falls faster" else sides[::-1]
                faster.setdefault(winner, []).append(loser)
        words = [f"{name} falls faster than {' and '.join(faster[name])}" for name in faster]
        tied = [
            f"{label(one.first.way.objective)} and {label(one.second.way.objective)}"
            for one in mine
            if one.verdict == "not distinguishable"
        ]
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
    lines = []
    for climb in climbs(ladder):
        lines += [f"### {climb.headline}", "", f"With ten times the {climb.axis.words}:", ""]
        lines += [f"- {sentence}" for sentence in climb.sentences]
        lines += ["", "| measure | objective | rungs | exponent b | floor |", "|-|-|-|-|-|"]
        lines += [
            f"| {fit.measure.name} | {label(fit.way.objective)} | {len(fit.points)} | "
            f"{bounded(fit.slope)} | {floor_of(fit)} |"
            for fit in climb.fits
        ]
        lines.append("")
    return "\n".join(lines)


def row(fit: Fit) -> dict[str, object]:
    """A fit as `scaling.json` lists it."""
    return {
        "axis": fit.axis.name,
        "measure": fit.measure.name,
        "fraction": fit.measure.fraction,
        "paradigm": fit.way.paradigm,
        "objective": fit.way.objective,
        "points": [
            {"rung": p.rung.name, "x": p.x, "mean": p.mean, "low": _known(p.low),
             "high": _known(p.high)}
            for p in fit.points
        ],
        "slope": _interval(fit.slope),
        "exponent": _interval(fit.exponent),
        "floor": _interval(fit.floor),
        "factor": _known(fit.factor),
        "off": fit.off,
        "note": fit.note,
    }  # fmt: skip


def contest_row(one: MethodComparison) -> dict[str, object]:
    """A comparison of exponents as `scaling.json` lists it."""
    return {
        "axis": one.first.axis.name,
        "measure": one.first.measure.name,
        "first": one.first.way.objective,
        "second": one.second.way.objective,
        **(_interval(one.difference) or {}),
        "adjusted": one.adjusted,
        "verdict": one.verdict,
    }


def _interval(found: Interval | None) -> dict[str, float | None] | None:
    if found is None:
        return None
    return {"mean": found.mean, "low": _known(found.low), "high": _known(found.high)}


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
