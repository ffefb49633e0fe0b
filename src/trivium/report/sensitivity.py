"""How much the ranking of methods depends on the probe that measures them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from trivium.report.cells import Scores
from trivium.report.records import VARIED
from trivium.report.tables import Estimate, Row, RowKey, label, rows_of, way_of

QUESTION = "Does the ranking hang on the probe?"
REFERENCE, OTHER = "linear", "knn"
"""The protocol's probes: rankings are compared with that of the first."""
LAYER = f"{REFERENCE}{VARIED}layer "
FEWEST = 4
"""Methods that a rank correlation needs at least."""
NUM_REPLICATES = 300
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
        change = "it may be another ranking altogether"
        if self.low > 0:
            change = "nearly the same ranking" if self.low > 0.8 else "a similar ranking"
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
        """The title of each column."""
        return tuple(map(shown, self.columns))

    @property
    def layers(self) -> tuple[str, ...]:
        """The columns that are layers, from the stem upwards."""
        return tuple(name for name in self.columns if name.startswith(LAYER))


def sensitive(scores: Sequence[Scores], variations: Sequence[Scores]) -> Sensitivity | None:
    """What the varied probes of one place found, beside the protocol's at the same labels.

    None where no method has both.
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
    by_way: dict[RowKey, dict[str, Scores]] = defaultdict(dict)
    for one in (*known, *variations):
        by_way[way_of(one.cell)][one.cell.probe] = one
    by_way = {way: mine for way, mine in by_way.items() if REFERENCE in mine and len(mine) > 2}
    if not by_way:
        return None
    names = tuple(sorted({name for mine in by_way.values() for name in mine}, key=_order))
    columns = [
        {way: Estimate(mine[name]) for way, mine in by_way.items() if name in mine}
        for name in names
    ]
    found = (agreement(name, by_way) for name in names if name != REFERENCE)
    return Sensitivity(share, names, rows_of(columns, scores), tuple(one for one in found if one))


def shown(name: str) -> str:
    """The label of a column: of a varied probe that of its variation."""
    return label(name.partition(VARIED)[2] or name)


def agreement(name: str, by_way: dict[RowKey, dict[str, Scores]]) -> Agreement | None:
    """Of the methods that have both columns; None if they are fewer than four."""
    ways = [mine for mine in by_way.values() if name in mine]
    if len(ways) < FEWEST:
        return None
    tau = _tau(*([mine[column].interval.mean for mine in ways] for column in (REFERENCE, name)))
    generator = np.random.default_rng(0)
    pairs = [_resampled(mine[REFERENCE], mine[name], generator) for mine in ways]
    first, second = (np.stack([pair[at] for pair in pairs]) for at in (0, 1))
    taus = [_tau(first[:, at], second[:, at]) for at in range(first.shape[1])]
    low, high = np.nanquantile(taus, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Agreement(name, tau, float(low), float(high), len(ways))


def _tau(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float:
    return float(stats.kendalltau(first, second).statistic)


def _resampled(
    first: Scores, second: Scores, generator: np.random.Generator
) -> list[Float[np.ndarray, " replicate"]]:
    """Means of two columns of one method in the same replicates: test items, seeds and draws."""
    num_seeds = len(first.seeds)
    num_replicates = min(NUM_REPLICATES, len(first.worlds), len(second.worlds))
    seeds = generator.integers(num_seeds, size=(num_replicates, num_seeds))
    replicates = np.arange(num_replicates)[:, None, None]
    found = []
    for one in (first, second):
        num_draws = one.worlds.shape[2]
        draws = generator.integers(num_draws, size=(num_replicates, num_draws))
        found.append(one.worlds[replicates, seeds[:, :, None], draws[:, None, :]].mean((1, 2)))
    return found


def _order(name: str) -> tuple[int, str]:
    """The protocol's probes, then other scalings, then layers."""
    protocol = (REFERENCE, OTHER)
    return (protocol.index(name) if name in protocol else 2 + name.startswith(LAYER), name)
