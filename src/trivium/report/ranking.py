"""Over all datasets: how the paradigms rank, and which of them cannot be told apart."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from trivium.colours import NAMES
from trivium.report.cells import Scores
from trivium.report.records import PARADIGMS
from trivium.report.runs import best
from trivium.report.tables import WITHOUT, fraction, label

QUESTION = "Which way of learning, over all datasets?"
WAYS = (*PARADIGMS[:-1], "raw", "untrained")
"""What is ranked: the paradigms and two controls."""
FEWEST = 3
"""Datasets, and ways of learning, that a ranking needs at least."""
LEVEL = 0.95
NOTE = (
    "Of each paradigm and dataset the test accuracy of the objective with the best validation "
    "accuracy of the probe. Mean ranks over the datasets, 1 is best; Friedman's test asks "
    "whether they differ at all, and mean ranks that differ by less than Nemenyi's critical "
    "difference cannot be told apart (Demšar 2006, JMLR 7:1). One task of each dataset, so that "
    "they are independent."
)


class Rank(NamedTuple):
    """One way of learning: its mean rank, its rank and its best objective on each dataset."""

    name: str
    paradigm: str
    mean: float
    ranks: tuple[float, ...]
    objectives: tuple[str, ...]


class Ranking(NamedTuple):
    """The ranking at one label fraction, best first.

    `p` is that of Friedman's test, `critical` Nemenyi's difference of mean ranks; `groups` are
    the largest sets of neighbours that differ by less.
    """

    probe: str
    fraction: float
    datasets: tuple[str, ...]
    ranks: tuple[Rank, ...]
    p: float
    critical: float
    groups: tuple[tuple[str, ...], ...]

    @property
    def sentence(self) -> str:
        """What it says."""
        order = ", ".join(f"{one.name} {one.mean:.2f}" for one in self.ranks)
        found = f"mean ranks {order}; Friedman's p = {self.p:.2g}"
        asked = f"With {fraction(self.fraction)} of the labels, over {len(self.datasets)} datasets"
        if not self.p < 1 - LEVEL:
            return f"{asked}, no way of learning can be told from the others ({found})."
        tied = next(group for group in self.groups if self.ranks[0].name in group)
        said = f"{tied[0]} is ahead of all others"
        if len(tied) > 1:
            said = f"{', '.join(tied[:-1])} and {tied[-1]} cannot be told apart"
        return f"{asked}, {said} ({found}, critical difference {self.critical:.2f})."


def rankings(scores: Sequence[Scores]) -> tuple[Ranking, ...]:
    """A ranking for each label fraction at which all ways were measured on three datasets or more.

    Ways are the three paradigms, the raw input and the untrained encoder; those that a dataset
    lacks leave that dataset out.
    """
    mine = _first_tasks(scores)
    fractions = sorted({one.cell.fraction for one in mine})
    found = (_ranking([one for one in mine if one.cell.fraction == share]) for share in fractions)
    return tuple(one for one in found if one)


def critical_difference(num_ways: int, num_datasets: int, level: float = LEVEL) -> float:
    """Nemenyi's critical difference of mean ranks (Demšar 2006, section 3.2.2)."""
    quantile = float(stats.studentized_range.ppf(level, num_ways, math.inf)) / math.sqrt(2)
    return quantile * math.sqrt(num_ways * (num_ways + 1) / (6 * num_datasets))


def _first_tasks(scores: Sequence[Scores]) -> list[Scores]:
    """Accuracies of one probe on the first task of each dataset."""
    tested = [o for o in scores if o.cell.metric == "accuracy" and WITHOUT not in o.cell.probe]
    homes: dict[str, tuple[str, str, str]] = {}
    for one in tested:
        if "+" not in one.cell.modality:
            homes.setdefault(one.cell.dataset, one.cell.place)
    probes = {one.cell.probe for one in tested}
    probe = "linear" if "linear" in probes else min(probes, default="")
    known = [o for o in tested if homes.get(o.cell.dataset) == o.cell.place]
    return [one for one in known if one.cell.probe == probe]


def _ranking(mine: Sequence[Scores]) -> Ranking | None:
    found: dict[str, dict[str, Scores]] = defaultdict(dict)
    for dataset in dict.fromkeys(one.cell.dataset for one in mine):
        for way in WAYS:
            own = [one for one in mine if one.cell.dataset == dataset]
            chosen = best([o for o in own if way in (o.cell.paradigm, o.cell.objective)])
            if chosen:
                found[dataset][way] = chosen
    names = [way for way in WAYS if any(way in of for of in found.values())]
    complete = [dataset for dataset, of in found.items() if len(of) == len(names)]
    if len(complete) < FEWEST or len(names) < FEWEST:
        return None
    table = np.array([[found[d][w].interval.mean for w in names] for d in complete])
    ranks = stats.rankdata(-table, axis=1)
    if np.ptp(ranks) == 0:
        return None
    p = float(stats.friedmanchisquare(*table.T).pvalue)
    ordered = tuple(
        Rank(
            NAMES.get(names[at], label(names[at])),
            names[at] if names[at] in PARADIGMS else "control",
            float(ranks[:, at].mean()),
            tuple(ranks[:, at].tolist()),
            tuple(found[dataset][names[at]].cell.objective for dataset in complete),
        )
        for at in np.argsort(ranks.mean(0), kind="stable")
    )
    critical = critical_difference(len(names), len(complete))
    cell, groups = mine[0].cell, _groups(ordered, critical)
    return Ranking(cell.probe, cell.fraction, tuple(complete), ordered, p, critical, groups)


def _groups(ranks: Sequence[Rank], critical: float) -> tuple[tuple[str, ...], ...]:
    """Neighbours within the critical difference, none of them within another group."""
    found: list[tuple[int, int]] = []
    for first, leader in enumerate(ranks):
        last = max(i for i, one in enumerate(ranks) if one.mean - leader.mean < critical)
        if not found or last > found[-1][1]:
            found.append((first, last))
    return tuple(tuple(one.name for one in ranks[first : last + 1]) for first, last in found)
