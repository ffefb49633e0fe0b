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
CONTROLS = ("raw", "untrained")
"""Controls that are ranked beside the paradigms."""
FEWEST = 3
"""Datasets that a ranking needs at least."""
LEVEL = 0.95
NOTE = (
    "Of each paradigm and dataset the objective with the best validation accuracy of the probe "
    "speaks, with its test accuracy. Mean ranks over the datasets, 1 is best; Friedman's test asks "
    "whether they differ at all, and mean ranks that differ by less than Nemenyi's critical "
    "difference cannot be told apart (Demšar 2006, JMLR 7:1). One task of each dataset, so that "
    "they are independent."
)


class Rank(NamedTuple):
    """One way of learning: its mean rank, and what spoke for it on each dataset."""

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
        asked = f"With {fraction(self.fraction)} of the labels, over {len(self.datasets)} datasets"
        if not self.p < 1 - LEVEL:
            return (
                f"{asked}, no way of learning can be told from the others (mean ranks {order}; "
                f"Friedman's p = {self.p:.2g})."
            )
        tied = next(group for group in self.groups if self.ranks[0].name in group)
        best = (
            f"{tied[0]} is ahead of all others"
            if len(tied) == 1
            else f"{' and '.join([', '.join(tied[:-1]), tied[-1]])} cannot be told apart"
        )
        return (
            f"{asked}, {best} (mean ranks {order}; Friedman's p = {self.p:.2g}, critical "
            f"difference {self.critical:.2f})."
        )


def rankings(scores: Sequence[Scores]) -> tuple[Ranking, ...]:
    """A ranking for each label fraction at which all ways were measured on three datasets or more.

    Ways are the three paradigms, the raw input and the untrained encoder; those that a dataset
    lacks leave that dataset out.
    """
    mine = _first_places(scores)
    fractions = sorted({one.cell.fraction for one in mine})
    found = (_standing([one for one in mine if one.cell.fraction == share]) for share in fractions)
    return tuple(one for one in found if one)


def markdown(found: Sequence[Ranking]) -> str:
    """The sentences, and a table of the mean ranks."""
    names = [one.name for one in found[0].ranks]
    lines = [*(f"- {one.sentence}" for one in found), ""]
    lines += [f"| labels | {' | '.join(names)} | critical difference |"]
    lines += ["|" + "-|" * (len(names) + 2)]
    for one in found:
        means = {rank.name: f"{rank.mean:.2f}" for rank in one.ranks}
        cells = " | ".join(means.get(name, "-") for name in names)
        lines.append(f"| {fraction(one.fraction)} | {cells} | {one.critical:.2f} |")
    return "\n".join([*lines, "", NOTE])


def critical_difference(num_ways: int, num_datasets: int, level: float = LEVEL) -> float:
    """Nemenyi's critical difference of mean ranks (Demšar 2006, section 3.2.2)."""
    quantile = float(stats.studentized_range.ppf(level, num_ways, math.inf)) / math.sqrt(2)
    return quantile * math.sqrt(num_ways * (num_ways + 1) / (6 * num_datasets))


def _first_places(scores: Sequence[Scores]) -> list[Scores]:
    """Accuracies of one probe on the first task of each dataset."""
    tested = [o for o in scores if o.cell.metric == "accuracy" and WITHOUT not in o.cell.probe]
    homes: dict[str, tuple[str, str, str]] = {}
    for one in tested:
        if "+" not in one.cell.modality:
            homes.setdefault(one.cell.dataset, one.cell.place)
    probes = {one.cell.probe for one in tested}
    probe = "linear" if "linear" in probes else min(probes, default="")
    return [
        one
        for one in tested
        if one.cell.probe == probe and homes.get(one.cell.dataset) == one.cell.place
    ]


def _standing(mine: Sequence[Scores]) -> Ranking | None:
    ways: dict[str, dict[str, Scores]] = defaultdict(dict)
    for dataset in dict.fromkeys(one.cell.dataset for one in mine):
        for way in (*PARADIGMS[:-1], *CONTROLS):
            spoken = best([o for o in mine if o.cell.dataset == dataset and _is(o, way)])
            if spoken:
                ways[dataset][way] = spoken
    every = {way for of in ways.values() for way in of}
    complete = [dataset for dataset, of in ways.items() if set(of) == every]
    if len(complete) < FEWEST or len(every) < 3:
        return None
    names = [way for way in (*PARADIGMS[:-1], *CONTROLS) if way in every]
    table = np.array([[ways[d][w].interval.mean for w in names] for d in complete])
    ranks = stats.rankdata(-table, axis=1)
    if np.ptp(ranks) == 0:
        return None
    p = float(stats.friedmanchisquare(*table.T).pvalue)
    order = np.argsort(ranks.mean(0), kind="stable")
    found = tuple(
        Rank(
            NAMES.get(names[at], label(names[at])),
            names[at] if names[at] in PARADIGMS else "control",
            float(ranks[:, at].mean()),
            tuple(ranks[:, at].tolist()),
            tuple(ways[dataset][names[at]].cell.objective for dataset in complete),
        )
        for at in order
    )
    critical = critical_difference(len(names), len(complete))
    one = mine[0].cell
    groups = _groups(found, critical)
    return Ranking(one.probe, one.fraction, tuple(complete), found, p, critical, groups)


def _is(one: Scores, way: str) -> bool:
    if way in CONTROLS:
        return one.cell.objective == way
    return one.cell.paradigm == way


def _groups(ranks: Sequence[Rank], critical: float) -> tuple[tuple[str, ...], ...]:
    """Neighbours within the critical difference, none of them within another group."""
    found: list[tuple[int, int]] = []
    for first, leader in enumerate(ranks):
        last = max(i for i, one in enumerate(ranks) if one.mean - leader.mean < critical)
        if not found or last > found[-1][1]:
            found.append((first, last))
    return tuple(tuple(one.name for one in ranks[first : last + 1]) for first, last in found)
