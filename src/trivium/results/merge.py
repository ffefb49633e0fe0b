"""Results published in parts, merged; which cells lead their column."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from trivium.report.scores import MAIN, is_share
from trivium.results.files import CELLS, KEY, SIDES, WAY, Results, ordered

LEVEL = 0.95
OF_CELL = (*WAY, "modality", "probe", "fraction", "split", "metric")
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
    gone = _rows(old.runs, KEY).isin(_set(new.runs, KEY)) | old.runs["part"].isin(list(new.parts))
    kept = old.runs[~gone]
    if len(kept) and old.protocol != new.protocol:
        raise ValueError(
            f"results of protocol {new.protocol} cannot join results of protocol {old.protocol}: "
            "publish every part anew, or as another version"
        )
    runs = ordered(pd.concat([kept, new.runs]))
    keys, fresh = _set(kept, KEY), _set(new.runs, WAY)
    touched = fresh | _set(old.runs[gone], WAY)
    records = [old.records[_rows(old.records, KEY).isin(keys)], new.records]
    still = old.cells[~_rows(old.cells, WAY).isin(touched)]
    found = Results(
        new.protocol,
        {name: facts for name, facts in old.parts.items() if name in set(kept["part"])}
        | dict(new.parts),
        runs,
        ordered(pd.concat(records)),
        ordered(pd.concat([still, new.cells])),
        ordered(pd.concat([_without(old.comparisons, touched), new.comparisons])),
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


def _over_seeds(results: Results, touched: set[tuple[Any, ...]]) -> Results:
    """Of touched ways: cells that miss a seed of their runs, made again from the records."""
    seeds = {way: set(map(str, group)) for way, group in results.runs.groupby(list(WAY))["seed"]}
    ways = {way for way in touched if way in seeds}
    mine = results.cells[_rows(results.cells, WAY).isin(ways)]
    whole = {
        way
        for way, group in mine.groupby(list(WAY))["seeds"]
        if all(set(each.split()) == seeds[way] for each in group)
    }
    split = ways - whole
    if not split:
        return results
    cells = results.cells[~_rows(results.cells, WAY).isin(split)]
    records = results.records[_rows(results.records, WAY).isin(split)]
    again = ordered(pd.DataFrame(_means(records, results.runs), columns=list(CELLS)))
    return replace(
        results,
        cells=ordered(pd.concat([cells, again])),
        comparisons=_without(results.comparisons, split),
    )


def _means(records: pd.DataFrame, runs: pd.DataFrame) -> list[dict[str, Any]]:
    paradigms = runs.drop_duplicates(list(WAY)).set_index(list(WAY))["paradigm"]
    rows = []
    for key, group in records.groupby(list(OF_CELL), sort=False):
        by_seed = group.groupby("seed")["value"].mean()
        mean, low, high = student(by_seed)
        if is_share(key[-1]):
            low, high = max(low, 0.0), min(high, 1.0)
        rows.append(
            dict(zip(OF_CELL, key, strict=True))
            | {"paradigm": paradigms[key[: len(WAY)]], "mean": mean, "low": low, "high": high}
            | {"seeds": " ".join(map(str, by_seed.index)), "leads": False}
            | {"num_draws": group["draw"].nunique(), "covers": OVER_SEEDS}
        )
    return rows


def _without(comparisons: pd.DataFrame, ways: set[tuple[Any, ...]]) -> pd.DataFrame:
    """Comparisons of which neither side is among these ways."""
    involved = pd.Series(False, index=comparisons.index)
    for side in ("first", "second"):
        names = ["dataset", "task", *(f"{side}_{name}" for name in SIDES[1:])]
        involved |= _rows(comparisons, names).isin(ways)
    return comparisons[~involved]


def _rows(table: pd.DataFrame, names: Iterable[str]) -> pd.Series:
    """Several columns as one of tuples."""
    values = list(table[list(names)].itertuples(index=False, name=None))
    return pd.Series(values, index=table.index, dtype=object)


def _set(table: pd.DataFrame, names: Iterable[str]) -> set[tuple[Any, ...]]:
    return set(_rows(table, names))


COLUMN = ("dataset", "task", "modality", "probe", "fraction", "split", "metric")
"""What the cells of one column of a table share."""


def with_leaders(results: Results) -> Results:
    """The results with `leads` of each cell set anew.

    The best mean of a column of test accuracies (or recall@5) leads, and so does each cell that a
    comparison does not tell from it. What was never compared with the best does not.
    """
    verdicts = {}
    for row in results.comparisons.to_dict("records"):
        first, second = (tuple(row[f"{side}_{n}"] for n in SIDES) for side in ("first", "second"))
        verdicts[_column(row), first, second] = row["verdict"] == "better"
        verdicts[_column(row), second, first] = row["verdict"] == "worse"
    columns: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    rows = results.cells.to_dict("records")
    for row in rows:
        row["leads"] = False
        if row["split"] == "test" and row["metric"] in MAIN:
            columns[_column(row)].append(row)
    for column, members in columns.items():
        best = max(members, key=lambda row: row["mean"])
        for row in members:
            is_worse = verdicts.get((column, _side(best), _side(row)), True)
            row["leads"] = row is best or not is_worse
    return replace(results, cells=results.cells.assign(leads=[row["leads"] for row in rows]))


def _column(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in COLUMN)


def _side(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in SIDES)
