"""How much the ranking of ways of learning hangs on how they are measured."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from trivium.report.cells import Scores
from trivium.report.records import VARIED
from trivium.report.tables import Entry, Row, fraction, grid, label, named, trained

QUESTION = "Does the ranking hang on the probe?"
REFERENCE, OTHER = "linear", "knn"
"""The protocol's probes: rankings are compared with that of the first."""
LAYER = f"{REFERENCE}{VARIED}layer "
FEWEST = 4
"""Ways that a rank correlation needs at least."""
NUM_WORLDS = 300
LEVEL = 0.95
NOTE = (
    "Test accuracy of the protocol's linear and kNN probes, and of linear probes of other scalings "
    "(all features by one number instead of each to unit variance; each item at unit length) and "
    "layers (means over tokens; layer 0 is behind the stem, the last block comes before the final "
    "normalisation). Kendall's tau-b compares the ranking of all rows with that of the linear "
    "probe: 1 is the same, 0 unrelated; its interval is of resampled seeds, draws and test items."
)


class Agreement(NamedTuple):
    """Kendall's tau-b of the ranking by one column with that by the protocol's linear probe."""

    name: str
    tau: float
    low: float
    high: float
    num_ways: int

    @property
    def sentence(self) -> str:
        """What it says."""
        if self.low > 0.8:
            change = "nearly the same ranking"
        elif self.low > 0:
            change = "a similar ranking"
        else:
            change = "it may be another ranking altogether"
        return (
            f"{label(self.name)}: {change} (tau {self.tau:+.2f} [{self.low:+.2f}, "
            f"{self.high:+.2f}], {self.num_ways} ways)."
        )


class Sensitivity(NamedTuple):
    """One task of one dataset at one label fraction: `columns` are probes, rows as in a table."""

    fraction: float
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    agreements: tuple[Agreement, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric of each column."""
        return ("accuracy",) * len(self.columns)

    @property
    def heads(self) -> tuple[str, ...]:
        """The head of each column, for the eye."""
        return tuple(shown(name) for name in self.columns)

    @property
    def layers(self) -> tuple[str, ...]:
        """The columns that are layers, from the stem upwards."""
        return tuple(name for name in self.columns if name.startswith(LAYER))


Way = tuple[str, str, str]
"""Paradigm, objective and encoder."""


def sensitive(scores: Sequence[Scores], variations: Sequence[Scores]) -> Sensitivity | None:
    """What the varied probes of one place found, beside the protocol's at the same labels.

    None where no way has both.
    """
    if not variations:
        return None
    share = variations[0].cell.fraction
    known = [
        one
        for one in scores
        if one.cell.probe in (REFERENCE, OTHER)
        and (one.cell.fraction, one.cell.split, one.cell.metric) == (share, "test", "accuracy")
    ]
    by_way: dict[Way, dict[str, Scores]] = defaultdict(dict)
    for one in (*known, *variations):
        cell = one.cell
        by_way[cell.paradigm, cell.objective, cell.encoder][cell.probe] = one
    by_way = {way: mine for way, mine in by_way.items() if REFERENCE in mine and len(mine) > 2}
    if not by_way:
        return None
    names = list(dict.fromkeys(name for mine in by_way.values() for name in mine))
    columns = tuple(sorted(names, key=_place))
    encoders = trained(scores)  # of all ways of the place, as its other tables name them
    found = (agreement(name, by_way) for name in columns if name != REFERENCE)
    return Sensitivity(
        share,
        columns,
        tuple(_row(way, mine, columns, encoders) for way, mine in by_way.items()),
        tuple(one for one in found if one),
    )


def agreement(name: str, by_way: dict[Way, dict[str, Scores]]) -> Agreement | None:
    """Of the ways that have both columns; None if they are fewer than four."""
    ways = [mine for mine in by_way.values() if name in mine]
    if len(ways) < FEWEST:
        return None
    tau = _tau(*([mine[column].interval.mean for mine in ways] for column in (REFERENCE, name)))
    generator = np.random.default_rng(0)
    pairs = [_resampled(mine[REFERENCE], mine[name], generator) for mine in ways]
    first, second = (np.stack([pair[at] for pair in pairs]) for at in (0, 1))
    worlds = [_tau(first[:, at], second[:, at]) for at in range(first.shape[1])]
    low, high = np.nanquantile(worlds, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Agreement(name, tau, float(low), float(high), len(ways))


def shown(name: str) -> str:
    """A column's name for the eye."""
    return label(name.partition(VARIED)[2] or name)


def markdown(found: Sensitivity) -> str:
    """The table and what it says, in Markdown."""
    parts = [
        f"With {fraction(found.fraction)} of the labels.",
        grid(found.heads, found.rows, found.metrics),
        NOTE,
    ]
    if found.agreements:
        parts.append("\n".join(f"- {one.sentence}" for one in found.agreements))
    return "\n\n".join(parts)


def _tau(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float:
    return float(stats.kendalltau(first, second).statistic)


def _resampled(
    first: Scores, second: Scores, generator: np.random.Generator
) -> tuple[Float[np.ndarray, " world"], Float[np.ndarray, " world"]]:
    """Means of two columns of one way in the same worlds: test items, seeds and draws."""
    num_seeds = len(first.seeds)
    num_worlds = min(NUM_WORLDS, len(first.worlds), len(second.worlds))
    found = []
    seeds = generator.integers(num_seeds, size=(num_worlds, num_seeds))
    for one in (first, second):
        num_draws = one.worlds.shape[2]
        draws = generator.integers(num_draws, size=(num_worlds, num_draws))
        world = np.arange(num_worlds)[:, None, None]
        found.append(one.worlds[world, seeds[:, :, None], draws[:, None, :]].mean((1, 2)))
    return found[0], found[1]


def _place(name: str) -> tuple[int, str]:
    order = (REFERENCE, OTHER)
    if name in order:
        return order.index(name), name
    return (len(order) + name.startswith(LAYER), name)


def _row(
    way: Way, mine: dict[str, Scores], columns: Sequence[str], encoders: frozenset[str]
) -> Row:
    entries = tuple(
        Entry(mine[name], best=False, tied=False) if name in mine else None for name in columns
    )
    _, objective, encoder = way
    return Row(*way, named(objective, encoder, encoders), len(mine[REFERENCE].seeds), entries)
