"""Which of two cells is better, on the same test items and label draws."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Literal, NamedTuple

from scipy import stats

from trivium.report.bootstrap import Resampling
from trivium.report.cells import Cell, Scores, by_main_metric
from trivium.report.records import SEEDLESS

Verdict = Literal["better", "worse", "not distinguishable"]


class Comparison(NamedTuple):
    """First minus second: the mean difference, its 95 % interval and what follows.

    `p` tests that there is no difference; `adjusted` is `p` after Holm's correction over its
    family; the verdict is on the first and follows from `adjusted` at 5 %. `num_seeds` is that of
    the side with fewer seeds, the controls aside that no seed can change.
    """

    first: Cell
    second: Cell
    difference: float
    low: float
    high: float
    p: float
    adjusted: float
    verdict: Verdict
    num_seeds: int

    def row(self) -> dict[str, object]:
        """The comparison as `comparison.json` lists it."""
        shared = ("dataset", "task", "modality", "probe", "fraction", "split", "metric")
        sides = ("paradigm", "objective", "encoder")
        return {
            **{name: getattr(self.first, name) for name in shared},
            "first": {name: getattr(self.first, name) for name in sides},
            "second": {name: getattr(self.second, name) for name in sides},
            **{name: getattr(self, name) for name in self._fields[2:]},
        }


def compare(
    scores: Sequence[Scores], resamplings: Mapping[int, Resampling], *, alpha: float = 0.05
) -> tuple[Comparison, ...]:
    """Compare all pairs that share dataset, task, modality, probe and fraction.

    They are compared by test accuracy, or by recall@5 where there is none.

    A family of Holm's correction (Holm 1979) is one such column of a table: whichever row looks
    best, the statement that it beats another one is among those corrected for.
    """
    columns: dict[tuple[object, ...], list[Scores]] = defaultdict(list)
    for one in by_main_metric(scores):
        columns[*one.cell.place, one.cell.probe, one.cell.fraction].append(one)
    found: list[Comparison] = []
    for members in columns.values():
        found += holm([pair for pair in _pairs(members, resamplings) if pair], alpha=alpha)
    return tuple(found)


def holm(comparisons: Sequence[Comparison], *, alpha: float = 0.05) -> list[Comparison]:
    """Correct one family of comparisons by Holm's step-down and give the verdicts."""
    from statsmodels.stats.multitest import multipletests

    if not comparisons:
        return []
    _, adjusted, _, _ = multipletests([one.p for one in comparisons], alpha, method="holm")
    return [
        one._replace(adjusted=float(p), verdict=_verdict(one.difference, float(p), alpha))
        for one, p in zip(comparisons, adjusted, strict=True)
    ]


def paired(first: Scores, second: Scores, resampling: Resampling) -> Comparison | None:
    """One comparison, not corrected yet; None if the two share no label draw.

    The scores are subtracted on the same draws and test items, so what both find hard cancels
    out; see `Resampling.difference`. p is of the same Student's t as the interval.
    """
    draws = sorted(set(first.draws) & set(second.draws))
    if not draws:
        return None
    one, two = _pick(first, draws), _pick(second, draws)
    interval = resampling.difference(one.values, two.values, one.worlds, two.worlds)
    if interval.error > 0:
        p = float(2 * stats.t.sf(abs(interval.mean) / interval.error, interval.freedom))
    else:
        p = 1.0 if interval.mean == 0 else 0.0
    verdict: Verdict = "not distinguishable"
    bounds = (interval.low, interval.high)
    sides = [o for o in (first, second) if o.cell.objective not in SEEDLESS]
    num_seeds = min((len(side.seeds) for side in sides), default=1)
    return Comparison(first.cell, second.cell, interval.mean, *bounds, p, p, verdict, num_seeds)


def _pairs(
    members: Sequence[Scores], resamplings: Mapping[int, Resampling]
) -> list[Comparison | None]:
    return [
        paired(first, second, resamplings[first.values.shape[2]])
        for first, second in combinations(members, 2)
    ]


def _pick(scores: Scores, draws: Sequence[int]) -> Scores:
    columns = [scores.draws.index(draw) for draw in draws]
    values, worlds = scores.values[:, columns], scores.worlds[:, :, columns]
    return replace(scores, values=values, worlds=worlds)


def _verdict(difference: float, p: float, alpha: float) -> Verdict:
    if not p < alpha:
        return "not distinguishable"
    return "better" if difference > 0 else "worse"
