"""Which cells lead their column: the best, and all that the comparisons do not tell from it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trivium.comparison.scoring import MAIN
from trivium.results.files import SIDES, Results

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
