"""How the error of each way of learning falls as its encoder, its computation and its data grow."""

from collections.abc import Callable, Sequence
from itertools import combinations, product
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from trivium.report.bootstrap import Interval, Resampling
from trivium.report.power_law import Law, floored, pure
from trivium.report.records import Measured
from trivium.report.runs import Run
from trivium.report.scaling_points import (
    AXES,
    Axis,
    Measure,
    Method,
    ScalingPoint,
    points_along,
    read_methods,
)

FEWEST, FEWEST_FLOORED = 3, 4
"""Rungs that a line, and a line with a floor, need: one more than their unknowns."""
NUM_DRAWN = 40


class Point(NamedTuple):
    """One rung on an axis: the mean of a measure and its interval (nan if nothing varies)."""

    rung: ScalingPoint
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
    `misfit` is the greatest relative deviation of a rung from the law that is drawn, `off` says of
    which rung it is more than chance.
    """

    axis: Axis
    measure: Measure
    way: Method
    points: tuple[Point, ...]
    slope: Interval | None
    exponent: Interval | None
    floor: Interval | None
    factor: float
    misfit: float
    off: str
    note: str
    band: Band | None


class MethodComparison(NamedTuple):
    """Two exponents (of pure power laws) compared; `adjusted` is p after Holm's correction."""

    first: Fit
    second: Fit
    difference: Interval
    p: float
    adjusted: float

    @property
    def objectives(self) -> tuple[str, str]:
        """Both sides."""
        return self.first.way.objective, self.second.way.objective

    @property
    def winner(self) -> str:
        """The objective whose error falls faster; empty if that cannot be told."""
        if not self.adjusted < 0.05:
            return ""
        return self.objectives[0 if self.difference.mean > 0 else 1]

    @property
    def verdict(self) -> Literal["falls faster", "falls slower", "not distinguishable"]:
        """Of the first beside the second."""
        if not self.winner:
            return "not distinguishable"
        return "falls faster" if self.difference.mean > 0 else "falls slower"


class Scaling(NamedTuple):
    """Everything fitted on one dataset."""

    dataset: str
    task: str
    measures: tuple[Measure, ...]
    ways: tuple[Method, ...]
    fits: tuple[Fit, ...]
    contests: tuple[MethodComparison, ...]


def scalings(measured: Sequence[Measured], runs: Sequence[Run]) -> tuple[Scaling, ...]:
    """Fit every axis along which the encoders of each dataset grow.

    Raises:
        ValueError: if a run's folder does not say how large it was, or no axis has two rungs.
    """
    found = []
    for place in dict.fromkeys(one.place for one in measured):
        ways, measures, resampling = read_methods(
            [one for one in measured if one.place == place],
            [run for run in runs if run.facts.dataset == place[0]],
        )
        fits: list[Fit] = []
        contests: list[MethodComparison] = []
        for axis, measure in product(AXES, measures):
            mine = [f for way in ways if (f := fitted(axis, measure, way, resampling))]
            fits += mine
            contests += compared(mine, resampling) if measure.is_error else []
        found.append(Scaling(*place[:2], measures, ways, tuple(fits), tuple(contests)))
    if not any(one.fits for one in found):
        raise ValueError(
            "No two rungs differ in one quantity alone (parameters, FLOPs or training samples): "
            "give the grid's `rungs` some that do."
        )
    return tuple(found)


def fitted(axis: Axis, measure: Measure, way: Method, resampling: Resampling) -> Fit | None:
    """The laws of one measure along one axis; None if the ladder does not grow along it."""
    rungs = points_along(axis, way)
    if not rungs or any(measure not in rung.values for rung in rungs):
        return None
    x = np.array([getattr(rung, axis.name) for rung in rungs], dtype=np.float64)
    values, worlds = _resampled(rungs, measure, resampling)
    points = tuple(
        Point(rung, at, *resampling.interval(value, rung.worlds[measure])[:3])
        for rung, at, value in zip(rungs, x, values, strict=True)
    )
    fit = Fit(axis, measure, way, points, None, None, None, np.nan, np.nan, "", "", None)
    if len(rungs) < FEWEST:
        note = f"{len(rungs)} rungs: a line needs {FEWEST} or more"
        return fit._replace(note=note)
    (slope,) = resampling.smooth(lambda y: pure(x, y).exponent[:, None], values, worlds)
    found, note = _floor(x, values, worlds, resampling)
    law = floored if found else pure
    exponent, floor = found or (None, None)
    means = np.array([[point.mean for point in points]])
    misfit = means[0] / law(x, means).at(x)[0] - 1
    stray = _off(x, law, values, worlds, resampling)
    off = "" if stray is None else _said(rungs[stray], misfit[stray])
    freedom = (exponent or slope).freedom
    return fit._replace(
        slope=slope,
        exponent=exponent,
        floor=floor,
        factor=float(law(x, means).factor[0]),
        misfit=float(np.abs(misfit).max()),
        off=off,
        note=note,
        band=_band(x, law(x, means), law(x, worlds), freedom),
    )


def _said(rung: ScalingPoint, misfit: float) -> str:
    where = "above" if misfit > 0 else "below"
    return f"{rung.name.replace('_', ' ')} is {abs(misfit):.0%} {where} it".replace("%", " %")


def _off(
    x: np.ndarray,
    law: Callable[[np.ndarray, np.ndarray], Law],
    values: list[np.ndarray],
    worlds: np.ndarray,
    resampling: Resampling,
) -> int | None:
    """The rung that is farthest off the law, if it is by more than chance (Bonferroni)."""

    def deviation(y: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.log(y) - np.log(law(x, y).at(x))
        return found

    each = resampling.smooth(deviation, values, worlds)
    chances = [len(x) * probability(one) for one in each]
    return int(np.argmin(chances)) if min(chances) < 0.05 else None


def probability(found: Interval) -> float:
    """P of Student's t that a value is 0; 1 where nothing varied."""
    if not found.error > 0:
        return 1.0
    return float(2 * stats.t.sf(abs(found.mean) / found.error, found.freedom))


def _resampled(
    rungs: Sequence[ScalingPoint], measure: Measure, resampling: Resampling
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

    def both(y: np.ndarray) -> np.ndarray:
        law = floored(x, y)
        return np.stack([law.exponent, law.floor], axis=-1)

    exponent, floor = resampling.smooth(both, values, worlds)
    if np.quantile(both(worlds)[:, 1], 0.025) <= 1e-3 * worlds.mean():
        return None, "no floor can be told from 0"
    if not (exponent.low > 0 and floor.low > 0):
        return None, "the floor is too unsure"
    if _off(x, floored, values, worlds, resampling) is not None:
        return None, "a floor does not explain the rungs"
    return (exponent, floor), ""


def _band(x: np.ndarray, law: Law, resampled: Law, freedom: float) -> Band:
    drawn = np.geomspace(x[0], x[-1], NUM_DRAWN)
    mean = law.at(drawn)[0]
    error = np.log(resampled.at(drawn)).std(0, ddof=1)
    reach = np.exp(float(stats.t.ppf(0.975, freedom)) * error) if error.max() > 0 else 1.0
    return Band(drawn, mean, mean / reach, mean * reach)


def compared(fits: Sequence[Fit], resampling: Resampling) -> list[MethodComparison]:
    """All pairs of methods on one axis and measure, Holm-corrected together."""
    from statsmodels.stats.multitest import multipletests

    found = []
    for first, second in combinations([fit for fit in fits if fit.slope], 2):
        difference = _difference(first, second, resampling)
        p = probability(difference)
        found.append(MethodComparison(first, second, difference, p, p))
    if not found:
        return []
    adjusted = multipletests([one.p for one in found], method="holm")[1]
    return [one._replace(adjusted=float(p)) for one, p in zip(found, adjusted, strict=True)]


def _difference(first: Fit, second: Fit, resampling: Resampling) -> Interval:
    """Of the exponents of pure power laws."""
    rungs = [point.rung for fit in (first, second) for point in fit.points]
    one, two = (np.array([point.x for point in fit.points]) for fit in (first, second))
    values, worlds = _resampled(rungs, first.measure, resampling)

    def difference(y: np.ndarray) -> np.ndarray:
        num = len(one)
        found: np.ndarray = pure(one, y[:, :num]).exponent - pure(two, y[:, num:]).exponent
        return found[:, None]

    return resampling.smooth(difference, values, worlds)[0]
