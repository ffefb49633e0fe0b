"""Results published in parts, merged; which cells lead their column."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from trivium.report.scores import MAIN, is_share
from trivium.results.files import CELLS, KEY, SIDES, WAY, Results, ordered

LEVEL = 0.95
COLUMN = ("dataset", "task", "modality", "probe", "fraction", "split", "metric")
"""What the cells of one column of a table share."""
OF_CELL = (*WAY, *COLUMN[2:])
OVER_SEEDS = "seeds"
"""What an interval covers that was made again from the records of several parts."""


def merged(old: Results | None, new: Results) -> Results:
    """The old results with the new ones in the place of what they repeat.

    Records are matched by data set, task, objective, encoder, budget and seed, and the runs of a
    part that is published again go altogether. A mean whose seeds come from several parts is made
    again from the records, with Student's interval over seeds alone; a comparison that involves a
    way of which something was published again goes with it.

    Raises:
        ValueError: Both would stay, and they are of two protocols.
    """
    if old is None:
        return new
    gone = _among(old.runs, new.runs, KEY) | old.runs["part"].isin(list(new.parts))
    kept = old.runs[~gone]
    if len(kept) and old.protocol != new.protocol:
        raise ValueError(
            f"results of protocol {new.protocol} cannot join results of protocol {old.protocol}: "
            "publish every part anew, or as another version"
        )
    touched = pd.concat([old.runs[gone], new.runs])
    parts = {name: facts for name, facts in old.parts.items() if name in set(kept["part"])}
    found = Results(
        new.protocol,
        parts | dict(new.parts),
        _joined(kept, new.runs),
        _joined(old.records[_among(old.records, kept, KEY)], new.records),
        _joined(old.cells[~_among(old.cells, touched, WAY)], new.cells),
        _joined(_without(old.comparisons, touched), new.comparisons),
    )
    return with_leaders(_over_seeds(found, touched))


def student(values: Iterable[float], level: float = LEVEL) -> tuple[float, float, float]:
    """Mean and Student's interval of the mean of independent values; NaN bounds of a single one."""
    array = np.array(list(values), dtype=float)
    mean = float(array.mean())
    if len(array) < 2:
        return mean, math.nan, math.nan
    half = float(stats.t.ppf((1 + level) / 2, len(array) - 1)) * float(stats.sem(array))
    return mean, mean - half, mean + half


def with_leaders(results: Results) -> Results:
    """The results with `leads` of each cell set anew.

    The best mean of a column of test accuracies (or recall@5) leads, and so does each cell that a
    comparison does not tell from it. What was never compared with the best does not.
    """
    tied = set()
    for row in results.comparisons.to_dict("records"):
        column = tuple(row[name] for name in COLUMN)
        first, second = (tuple(row[f"{side}_{n}"] for n in SIDES) for side in ("first", "second"))
        if row["verdict"] != "better":
            tied.add((column, first, second))
        if row["verdict"] != "worse":
            tied.add((column, second, first))
    cells = results.cells
    leads = pd.Series(False, index=cells.index)
    tested = cells[(cells["split"] == "test") & cells["metric"].isin(MAIN)]
    for column, members in tested.groupby(list(COLUMN)):
        best = members["mean"].idxmax()
        sides = _rows(members, SIDES)
        leads[members.index] = [(column, sides[best], side) in tied for side in sides]
        leads[best] = True
    return replace(results, cells=cells.assign(leads=leads))


def _over_seeds(results: Results, touched: pd.DataFrame) -> Results:
    """Of touched ways: cells that miss a seed of their runs, made again from the records."""
    runs = results.runs[_among(results.runs, touched, WAY)]
    seeds = runs.groupby(list(WAY))["seed"].agg(set).rename("known").reset_index()
    mine = results.cells.merge(seeds, on=list(WAY))
    is_split = [
        set(map(int, row["seeds"].split())) != row["known"] for row in mine.to_dict("records")
    ]
    split = mine[np.array(is_split, dtype=bool)]
    if split.empty:
        return results
    records = results.records[_among(results.records, split, WAY)]
    again = _means(records, results.runs)
    cells = results.cells[~_among(results.cells, split, WAY)]
    comparisons = _without(results.comparisons, split)
    return replace(results, cells=_joined(cells, again), comparisons=comparisons)


def _means(records: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Cells of records, with intervals over seeds."""
    rows = []
    for key, group in records.groupby(list(OF_CELL), sort=False):
        by_seed = group.groupby("seed")["value"].mean()
        mean, low, high = student(by_seed)
        if is_share(key[-1]):
            low, high = max(low, 0.0), min(high, 1.0)
        row = dict(zip(OF_CELL, key, strict=True)) | {"mean": mean, "low": low, "high": high}
        row |= {"seeds": " ".join(map(str, by_seed.index)), "num_draws": group["draw"].nunique()}
        rows.append(row | {"covers": OVER_SEEDS, "leads": False})
    paradigms = runs[[*WAY, "paradigm"]].drop_duplicates(list(WAY))
    return ordered(pd.DataFrame(rows).merge(paradigms, on=list(WAY))[list(CELLS)])


def _without(comparisons: pd.DataFrame, ways: pd.DataFrame) -> pd.DataFrame:
    """Comparisons of which neither side is among these ways."""
    gone = pd.Series(False, index=comparisons.index)
    for side in ("first", "second"):
        names = ["dataset", "task", *(f"{side}_{name}" for name in SIDES[1:])]
        gone |= _rows(comparisons, names).isin(set(_rows(ways, WAY)))
    return comparisons[~gone]


def _among(table: pd.DataFrame, other: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Which rows agree with some row of another table in these columns."""
    return _rows(table, names).isin(set(_rows(other, names)))


def _rows(table: pd.DataFrame, names: Iterable[str]) -> pd.Series:
    """Several columns as one of tuples."""
    values = list(table[list(names)].itertuples(index=False, name=None))
    return pd.Series(values, index=table.index, dtype=object)


def _joined(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    return ordered(pd.concat([first, second]))
