r"""Where two curves cross, and how sure that is.

Between measured points the difference of two curves is interpolated linearly. Where it changes its
sign the curves cross; the 95 % interval are the neighbouring positions at which the difference
cannot be told from none, $|d(x)| \le t\, s(x)$, with Student's t (the inversion of a test, after
Fieller 1954, JRSS B 16:175). A side that is open has no bound within what was measured;
percentiles of crossings over resampled worlds would hide that, for worlds without a crossing have
none to count.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float
from scipy import stats

from trivium.comparison.bootstrap import Resampling
from trivium.comparison.cells import Scores

Curve: TypeAlias = tuple[Sequence[float], Sequence[float]]
"""Positions, ascending, and the heights there."""
NUM_POSITIONS = 400
"""Positions between the ends at which the difference is looked at."""
LEVEL = 0.95


class Crossing(NamedTuple):
    """A position; `low` or `high` is None where nothing bounds it within what was measured."""

    at: float
    low: float | None
    high: float | None


class Race(NamedTuple):
    """The difference, first minus second, along an axis.

    `crossings` are in order; `is_told` says whether the difference can be told from none anywhere.
    Nothing is told of curves of a single seed.
    """

    start: float
    end: float
    leads_first: bool
    leads_last: bool
    is_told: bool
    crossings: tuple[Crossing, ...]


def race(
    positions: Float[np.ndarray, " position"],
    difference: Float[np.ndarray, " position"],
    error: Float[np.ndarray, " position"],
    freedom: Float[np.ndarray, " position"],
) -> Race:
    """What a difference that is known densely along an axis says.

    Args:
        positions: ascending.
        difference: first minus second.
        error: its standard error; nan where nothing could vary.
        freedom: its degrees of freedom.
    """
    reach = stats.t.ppf(0.5 + LEVEL / 2, np.where(np.isnan(error), 1, freedom)) * error
    told = np.where(np.abs(difference) > reach, np.sign(difference), 0).astype(int)
    # A difference of exactly none goes with what comes before it.
    signs = np.sign(difference)
    for at in range(1, len(signs)):
        signs[at] = signs[at] or signs[at - 1]
    turns = np.flatnonzero(signs[:-1] * signs[1:] < 0)
    return Race(
        float(positions[0]),
        float(positions[-1]),
        bool(signs[0] > 0),
        bool(signs[-1] > 0),
        bool(told.any()),
        tuple(_crossing(int(at), positions, difference, told) for at in turns),
    )


def _crossing(
    at: int,
    positions: Float[np.ndarray, " position"],
    difference: Float[np.ndarray, " position"],
    told: np.ndarray,
) -> Crossing:
    """The crossing between two positions, and the nearest ones at which the difference is told."""
    one, two = difference[at], difference[at + 1]
    exact = float(positions[at] + (positions[at + 1] - positions[at]) * one / (one - two))
    below, above = np.flatnonzero(told[: at + 1]), np.flatnonzero(told[at + 1 :])
    low = float(positions[below[-1]]) if len(below) else None
    high = float(positions[at + 1 + above[0]]) if len(above) else None
    return Crossing(exact, low, high)


def by_labels(
    first: Sequence[Scores], second: Sequence[Scores], resamplings: Mapping[int, Resampling]
) -> Race | None:
    """Of two objectives' accuracies against the share of labels, on a logarithmic axis.

    The two are paired over label draws and test items, in the same resampled worlds at every
    share; between two shares the smaller degrees of freedom hold. None where they share fewer
    than two shares of labels. Positions are shares.
    """
    others = {one.cell.fraction: one for one in second}
    pairs = [
        (one, other)
        for one in sorted(first, key=lambda one: one.cell.fraction)
        if (other := others.get(one.cell.fraction)) and one.draws == other.draws
    ]
    if len(pairs) < 2:
        return None
    known = np.log10([one.cell.fraction for one, _ in pairs])
    dense = np.linspace(known[0], known[-1], NUM_POSITIONS + 1)
    weights = np.stack([np.interp(dense, known, row) for row in np.eye(len(known))])
    worlds, means, freedoms = [], [], []
    for one, other in pairs:
        resampling = resamplings[one.values.shape[2]]
        found = resampling.difference(one.values, other.values, one.worlds, other.worlds)
        means.append(found.mean)
        freedoms.append(found.freedom)
        worlds.append(
            resampling.replicates(one.worlds) - resampling.replicates(other.worlds, side=1)
        )
    freedom = np.where(weights > 0, np.array(freedoms)[:, None], np.inf).min(0)
    error = (np.stack(worlds, axis=1) @ weights).std(axis=0, ddof=1)
    return _scaled(race(dense, np.array(means) @ weights, error, freedom))


def over_seeds(first: Sequence[Curve], second: Sequence[Curve]) -> Race | None:
    """Of two sets of curves, a curve of each seed, at positions above 0.

    Each is interpolated on positions that all of them reach; the seeds are independent (Welch
    1947). None where no positions are shared.
    """
    curves = [*first, *second]
    start = max((x[0] for x, _ in curves if x), default=0.0)
    end = min((x[-1] for x, _ in curves if x), default=0.0)
    if not first or not second or not 0 < start < end:
        return None
    dense = np.geomspace(start, end, NUM_POSITIONS + 1)
    one, two = (np.stack([np.interp(dense, *curve) for curve in side]) for side in (first, second))
    error, freedom = np.full(len(dense), np.nan), np.ones(len(dense))
    if min(len(one), len(two)) > 1:
        parts = [side.var(axis=0, ddof=1) / len(side) for side in (one, two)]
        error = np.sqrt(parts[0] + parts[1])
        each = parts[0] ** 2 / (len(one) - 1) + parts[1] ** 2 / (len(two) - 1)
        freedom = np.where(each > 0, error**4 / np.where(each > 0, each, 1), np.inf)
    return race(dense, one.mean(0) - two.mean(0), error, freedom)


def _scaled(found: Race) -> Race:
    """Positions of powers of ten as numbers."""

    def raised(value: float | None) -> float | None:
        return None if value is None else float(10**value)

    crossings = tuple(
        Crossing(float(10**one.at), raised(one.low), raised(one.high)) for one in found.crossings
    )
    return found._replace(
        start=float(10**found.start), end=float(10**found.end), crossings=crossings
    )
