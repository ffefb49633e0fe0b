r"""Crossovers: where one paradigm overtakes another, along labels and along pretraining.

Between measured points the difference of two curves is interpolated linearly. Where it changes its
sign the curves cross; the 95 % interval are the neighbouring positions at which the difference
cannot be told from none, $|d(x)| \le t\, s(x)$, with Student's t (the inversion of a test, after
Fieller 1954, JRSS B 16:175). A side that is open has no bound within what was measured;
percentiles of crossings over resampled worlds would hide that, for worlds without a crossing have
none to count.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float
from scipy import stats

from trivium.colours import NAMES
from trivium.report.bootstrap import Resampling
from trivium.report.cells import Scores
from trivium.report.curves import flops_at
from trivium.report.figures import key_of
from trivium.report.records import PARADIGMS
from trivium.report.runs import Run, best_by_validation
from trivium.report.tables import label, with_prefix

Curve: TypeAlias = tuple[Sequence[float], Sequence[float]]
"""Positions, ascending, and the heights there."""
NUM_POSITIONS = 400
"""Intervals between the positions at which the difference is evaluated."""
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
    told = np.abs(difference) > reach
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


def _crossing(at: int, positions: np.ndarray, difference: np.ndarray, told: np.ndarray) -> Crossing:
    """The crossing between two positions, and the nearest ones at which the difference is told."""
    one, two = difference[at], difference[at + 1]
    exact = float(positions[at] + (positions[at + 1] - positions[at]) * one / (one - two))
    below, above = positions[: at + 1][told[: at + 1]], positions[at + 1 :][told[at + 1 :]]
    return Crossing(
        exact, float(below[-1]) if len(below) else None, float(above[0]) if len(above) else None
    )


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
    crossings = tuple(
        Crossing(
            float(10**one.at),
            *(None if bound is None else float(10**bound) for bound in one[1:]),
        )
        for one in found.crossings
    )
    start, end = float(10**found.start), float(10**found.end)
    return found._replace(start=start, end=end, crossings=crossings)


Member = TypeVar("Member")
LABELS, FLOPS = "labels", "FLOPs"
QUESTIONS = {LABELS: "Where the ways cross", FLOPS: "Who overtakes whom on the way"}
NOTES = {
    LABELS: (
        "Of each paradigm the objective with the best validation accuracy at the most labels. "
        "Accuracy is interpolated on the logarithm of the share of labels; the interval holds all "
        "shares near the crossing at which the two cannot be told apart (95 %, over seeds, label "
        "draws and test items, not corrected for the number of pairs)."
    ),
    FLOPS: (
        "Of each paradigm the objective with the best validation accuracy of the online monitor at "
        "the end. Each seed's curve is interpolated between its evaluations; the interval holds "
        "all FLOPs near the crossing at which the two cannot be told apart over the seeds (95 %, "
        "not corrected for the number of pairs). Of several crossings the last counts."
    ),
}


class Crossover(NamedTuple):
    """Two objectives along one axis; `first` is ahead at its end."""

    axis: str
    first: str
    second: str
    paradigms: tuple[str, str]
    race: Race

    @property
    def sentence(self) -> str:
        """What it says."""
        found, show = self.race, SHOWN[self.axis]
        if not found.crossings:
            said = f"{self.first} is ahead of {self.second} all the way"
            end = "" if found.is_told else ", nor can they be told apart"
            return _capital(f"{said}: they do not cross{end}.")
        places = " and ".join(f"{show(one.at)} {self.bounds(one)}" for one in found.crossings)
        said = f"{self.first} overtakes {self.second} at {places}"
        if len(found.crossings) > 1:
            said = f"{self.first} and {self.second} cross at {places}"
        return _capital(f"{said}{'' if found.is_told else '; nowhere can the two be told apart'}.")

    @property
    def ahead(self) -> tuple[str, str]:
        """Who is ahead at the start and at the end."""
        is_same = self.race.leads_first == self.race.leads_last
        return self.first if is_same else self.second, self.first

    @property
    def places(self) -> str:
        """Where they cross, for a table."""
        return ", ".join(SHOWN[self.axis](one.at) for one in self.race.crossings) or "never"

    @property
    def intervals(self) -> str:
        """The intervals of the crossings, for a table."""
        return ", ".join(self.bounds(one) for one in self.race.crossings) or "-"

    def bounds(self, one: Crossing) -> str:
        """An interval; a side without a bound reaches the end of what was measured."""
        show = SHOWN[self.axis]
        low = f"below {show(self.race.start)}" if one.low is None else show(one.low)
        high = f"beyond {show(self.race.end)}" if one.high is None else show(one.high)
        return f"[{low}, {high}]"


def with_labels(
    scores: Sequence[Scores], resamplings: Mapping[int, Resampling]
) -> tuple[Crossover, ...]:
    """All pairs of the best objectives of one place, along the share of labels."""
    curves = {}
    for spoken in best_by_validation(scores):
        cell = spoken.cell
        same = [o for o in scores if o.cell == cell._replace(fraction=o.cell.fraction)]
        curves[cell.paradigm, cell.objective] = same
    return _pairs(LABELS, curves, lambda one, two: by_labels(one, two, resamplings))


def with_flops(runs: Sequence[Run]) -> tuple[Crossover, ...]:
    """All pairs of the objectives that the online monitor prefers, along training FLOPs."""
    monitored: dict[tuple[str, str], list[Curve]] = {}
    for run in runs:
        seen = (run.curves or {}).get("monitor") or {}
        if seen.get("step") and "accuracy" in seen:
            flops = flops_at(run, seen["step"])
            # Before the first step all encoders are untrained.
            points = [pair for pair in zip(flops, seen["accuracy"], strict=True) if pair[0] > 0]
            if points:
                x, y = zip(*points, strict=True)
                monitored.setdefault(key_of(run), []).append((x, y))
    curves = {}
    for paradigm in PARADIGMS[:-1]:
        last = {key: fmean(y[-1] for _, y in monitored[key]) for key in monitored}
        mine = [key for key in monitored if key[0] == paradigm]
        if mine:
            best = max(mine, key=lambda key: last[key])
            curves[best] = monitored[best]

    def last_crossing(one: Sequence[Curve], two: Sequence[Curve]) -> Race | None:
        found = over_seeds(one, two)
        return found and found._replace(crossings=found.crossings[-1:])

    return _pairs(FLOPS, curves, last_crossing)


def by_axis(*found: tuple[Crossover, ...]) -> dict[str, tuple[Crossover, ...]]:
    """The pairs of each axis that has any."""
    return {pairs[0].axis: pairs for pairs in found if pairs}


def _pairs(
    axis: str,
    curves: Mapping[tuple[str, str], Sequence[Member]],
    compare: Callable[[Sequence[Member], Sequence[Member]], Race | None],
) -> tuple[Crossover, ...]:
    found = []
    for one, two in combinations(curves, 2):
        made = compare(curves[one], curves[two])
        if made is None:
            continue
        if not made.leads_last:
            one, two = two, one
            made = made._replace(leads_first=not made.leads_first, leads_last=True)
        found.append(Crossover(axis, _name(one), _name(two), (one[0], two[0]), made))
    return tuple(found)


def _name(key: tuple[str, str]) -> str:
    return f"{NAMES[key[0]]} {label(key[1])}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


SHOWN: dict[str, Callable[[float], str]] = {
    LABELS: lambda value: f"{100 * value:.2g} %" if value < 0.1 else f"{100 * value:.0f} %",
    FLOPS: lambda value: with_prefix(value, "FLOPs"),
}
"""How a position is written, by axis."""
