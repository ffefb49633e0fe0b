"""How the error of each way of learning falls as its encoder, its computation and its data grow."""

from collections.abc import Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from trivium.comparison.bootstrap import Interval, Resampling
from trivium.comparison.power_law import Law, floored, pure
from trivium.comparison.records import Measured
from trivium.comparison.rungs import AXES, Axis, Measure, Rung, Way, read_ways, rungs_along
from trivium.comparison.runs import Run

FEWEST, FEWEST_FLOORED = 3, 4
"""Rungs that a line, and a line with a floor, need: one more than their unknowns."""
NUM_DRAWN = 40


class Point(NamedTuple):
    """One rung on an axis: the mean of a measure and its interval (nan if nothing varies)."""

    rung: Rung
    x: float
    mean: float
    low: float
    high: float


class Band(NamedTuple):
    """The fitted law between the outer rungs, with its 95 % interval."""

    x: Float[np.ndarray, " drawn"]
    mean: Float[np.ndarray, " drawn"]
    low: Float[np.ndarray, " drawn"]
    high: Float[np.ndarray, " drawn"]


class Fit(NamedTuple):
    """How one measure of one way falls along one axis.

    `slope` is the exponent b of the pure power law a x^-b, None with fewer than 3 rungs; `exponent`
    and `floor` are b and c of a x^-b + c, None where c cannot be identified, as `note` says;
    `misfit` is the greatest relative deviation of a rung from the law that is drawn.
    """

    axis: Axis
    measure: Measure
    way: Way
    points: tuple[Point, ...]
    slope: Interval | None
    exponent: Interval | None
    floor: Interval | None
    factor: float
    misfit: float
    note: str
    band: Band | None


class Contest(NamedTuple):
    """Two exponents (of pure power laws) compared; `adjusted` is p after Holm's correction."""

    first: Fit
    second: Fit
    difference: Interval
    p: float
    adjusted: float

    @property
    def verdict(self) -> Literal["falls faster", "falls slower", "not distinguishable"]:
        """Of the first beside the second."""
        if not self.adjusted < 0.05:
            return "not distinguishable"
        return "falls faster" if self.difference.mean > 0 else "falls slower"


class Ladder(NamedTuple):
    """Everything fitted on one dataset."""

    dataset: str
    task: str
    measures: tuple[Measure, ...]
    ways: tuple[Way, ...]
    fits: tuple[Fit, ...]
    contests: tuple[Contest, ...]


def ladders(measured: Sequence[Measured], runs: Sequence[Run]) -> tuple[Ladder, ...]:
    """Fit every axis of every dataset's ladder.

    Raises:
        ValueError: if a run's folder does not say how large it was, or no axis has two rungs.
    """
    found = [_ladder(place, measured, runs) for place in dict.fromkeys(o.place for o in measured)]
    if not any(ladder.fits for ladder in found):
        raise ValueError(
            "No two rungs differ in one quantity alone (parameters, FLOPs or training samples): "
            "give the grid's `rungs` some that do."
        )
    return tuple(found)


def _ladder(
    place: tuple[str, str, str], measured: Sequence[Measured], runs: Sequence[Run]
) -> Ladder:
    ways, measures, resampling = read_ways(
        [one for one in measured if one.place == place],
        [run for run in runs if run.facts.dataset == place[0]],
    )
    fits = [
        fit
        for axis in AXES
        for measure in measures
        for way in ways
        if (fit := fitted(axis, measure, way, resampling))
    ]
    contests = [
        contest
        for axis in AXES
        for measure in measures
        if measure.is_error
        for contest in contested(
            [fit for fit in fits if (fit.axis, fit.measure) == (axis, measure)], resampling
        )
    ]
    return Ladder(place[0], place[1], measures, ways, tuple(fits), tuple(contests))


def fitted(axis: Axis, measure: Measure, way: Way, resampling: Resampling) -> Fit | None:
    """The laws of one measure along one axis; None if the ladder does not grow along it."""
    rungs = rungs_along(axis, way)
    if not rungs or any(measure not in rung.values for rung in rungs):
        return None
    x = np.array([getattr(rung, axis.name) for rung in rungs], dtype=np.float64)
    values, worlds = _resampled(rungs, measure, resampling)
    points = tuple(
        Point(rung, at, *resampling.interval(value, rung.worlds[measure])[:3])
        for rung, at, value in zip(rungs, x, values, strict=True)
    )
    fit = Fit(axis, measure, way, points, None, None, None, np.nan, np.nan, "", None)
    if len(rungs) < FEWEST:
        note = f"{len(rungs)} rungs: a line needs {FEWEST} or more"
        return fit._replace(note=note)
    slope = resampling.smooth(lambda y: pure(x, y).exponent, values, worlds)
    found, note = _floor(x, values, worlds, resampling)
    law = floored if found else pure
    exponent, floor = found or (None, None)
    means = np.array([[point.mean for point in points]])
    misfit = np.abs(law(x, means).at(x)[0] / means[0] - 1).max()
    freedom = (exponent or slope).freedom
    band = _band(x, law(x, means), law(x, worlds), freedom)
    factor = float(law(x, means).factor[0])
    return Fit(axis, measure, way, points, slope, exponent, floor, factor, misfit, note, band)


def _resampled(
    rungs: Sequence[Rung], measure: Measure, resampling: Resampling
) -> tuple[list[np.ndarray], np.ndarray]:
    values = [rung.values[measure] for rung in rungs]
    worlds = resampling.apart([rung.worlds[measure] for rung in rungs])
    # A resampled mean of few seeds can leave the positive numbers, where no power law goes.
    return values, np.maximum(worlds, 0.05 * np.array([value.mean() for value in values]))


def _floor(
    x: np.ndarray, values: list[np.ndarray], worlds: np.ndarray, resampling: Resampling
) -> tuple[tuple[Interval, Interval] | None, str]:
    if len(x) < FEWEST_FLOORED:
        return None, f"{len(x)} rungs: a floor needs {FEWEST_FLOORED} or more"
    floors = floored(x, worlds).floor
    if np.quantile(floors, 0.025) <= 1e-3 * worlds.mean():
        return None, "no floor can be told from 0"
    exponent = resampling.smooth(lambda y: floored(x, y).exponent, values, worlds)
    if not 0 < exponent.error < exponent.mean:
        return None, "the floor is too unsure"
    return (exponent, resampling.smooth(lambda y: floored(x, y).floor, values, worlds)), ""


def _band(x: np.ndarray, law: Law, resampled: Law, freedom: float) -> Band:
    drawn = np.geomspace(x[0], x[-1], NUM_DRAWN)
    mean = law.at(drawn)[0]
    error = np.log(resampled.at(drawn)).std(0, ddof=1)
    reach = np.exp(float(stats.t.ppf(0.975, freedom)) * error) if error.max() > 0 else 1.0
    return Band(drawn, mean, mean / reach, mean * reach)


def contested(fits: Sequence[Fit], resampling: Resampling) -> list[Contest]:
    """All pairs of ways on one axis and measure, Holm-corrected together."""
    from statsmodels.stats.multitest import multipletests

    found = [_contest(*pair, resampling) for pair in combinations([f for f in fits if f.slope], 2)]
    if not found:
        return []
    adjusted = multipletests([one.p for one in found], method="holm")[1]
    return [one._replace(adjusted=float(p)) for one, p in zip(found, adjusted, strict=True)]


def _contest(first: Fit, second: Fit, resampling: Resampling) -> Contest:
    rungs = [point.rung for fit in (first, second) for point in fit.points]
    one, two = (np.array([point.x for point in fit.points]) for fit in (first, second))
    values, worlds = _resampled(rungs, first.measure, resampling)
    difference = resampling.smooth(
        lambda y: pure(one, y[:, : len(one)]).exponent - pure(two, y[:, len(one) :]).exponent,
        values,
        worlds,
    )
    ratio = abs(difference.mean) / difference.error if difference.error else np.inf
    p = float(2 * stats.t.sf(ratio, difference.freedom))
    return Contest(first, second, difference, p, p)
