"""What a report found, as results to publish: each data set a part with its environment."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from trivium.results.files import (
    CELLS,
    COMPARISONS,
    ENVIRONMENT,
    KEY,
    RECORDS,
    RUNS,
    SIDES,
    Results,
    frame,
)
from trivium.results.merge import with_leaders
from trivium.results.verify import Rerun

Row = Mapping[str, Any]
Key = tuple[Any, ...]
OF_RUN = ("commit", "dirty", "identity")
"""What an environment says of a single run; it stands with each run instead."""
NO_BUDGET = "none"
"""The budget of what is not trained."""


def published(
    report: Path,
    *,
    grid: str,
    made: Callable[[str, int], Rerun],
    environment: Mapping[str, Any],
    datasets: Sequence[str] | None = None,
) -> Results:
    """What `comparison.json` holds of some data sets, as results.

    Args:
        report: The report's folder.
        grid: Its name; a part is called GRID/DATASET.
        made: What makes the run of a cell and seed again.
        environment: Of runs whose folder holds none.
        datasets: Which; None for all.

    Raises:
        FileNotFoundError: There is no report.
        ValueError: A data set is not in it, or two runs would have the same key.
    """
    path = report / "comparison.json"
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: write the report first (make repro)")
    document = json.loads(path.read_text(encoding="utf-8"))
    known = {row["dataset"] for row in document["runs"]}
    if unknown := set(datasets or ()) - known:
        raise ValueError(f"{path} holds nothing of {', '.join(sorted(unknown))}")
    content = {
        name: [row for row in document[name] if row["dataset"] in (datasets or known)]
        for name in ("runs", "records", "cells", "comparisons")
    }
    budgets = {_run(row): budget(row) for row in content["runs"]}
    places = {_place(row): budgets[_run(row)] for row in content["runs"]}
    parts, names = _parts(content["runs"], grid, environment, str(document["commit"]))
    runs = _runs(content["runs"], budgets, names, made)
    records = [row | {"budget": budgets[_run(row)]} for row in content["records"]]
    seeds = _seeds(content["records"])
    cells = [_cell(row, places[_place(row)], seeds[_measure(row)]) for row in content["cells"]]
    found = Results(
        str(document["protocol"]),
        parts,
        runs,
        frame(records, RECORDS),
        frame(cells, CELLS),
        frame([_comparison(row, places) for row in content["comparisons"]], COMPARISONS),
    )
    return with_leaders(found)


def budget(row: Row) -> str:
    """The budget that a run was given, as `5e+11 flops`; `none` of what was not trained."""
    if not row["flops"]:
        return NO_BUDGET
    for unit, amount in _config(row).get("budget", {}).items():
        if isinstance(amount, int | float) and amount:
            return f"{amount:.4g} {unit}"
    return f"{row['flops']:.2g} flops"


def _runs(
    rows: Sequence[Row],
    budgets: Mapping[Key, str],
    names: Sequence[str],
    made: Callable[[str, int], Rerun],
) -> pd.DataFrame:
    found: dict[Key, dict[str, Any]] = {}
    for row, part in zip(rows, names, strict=True):
        again = made(row["cell"], row["seed"])
        one = {
            **{column: row[column] for column in RUNS if column in row},
            "budget": budgets[_run(row)],
            "part": part,
            "commit": _commit(row),
            "identity": (_environment(row) or {}).get("identity", ""),
            **again._asdict(),
            "pretrain": json.dumps(again.pretrain, ensure_ascii=False),
            "probe": json.dumps(again.probe, ensure_ascii=False),
        }
        key = tuple(one[name] for name in KEY)
        if found.setdefault(key, one)["identity"] != one["identity"]:
            raise ValueError(
                f"two runs have the same {', '.join(KEY)}: {key}; give one of them another name"
            )
    return frame(list(found.values()), RUNS)


def _parts(
    rows: Sequence[Row], grid: str, fallback: Row, commit: str
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Environments by part, and each run's part; a data set of two environments has two parts."""
    said = [_environment(row) for row in rows]
    parts: dict[str, dict[str, Any]] = {}
    named: dict[tuple[str, str], str] = {}
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        mine = [(row, one) for row, one in zip(rows, said, strict=True) if _is(row, dataset)]
        usual = Counter(_text(one) for _, one in mine if one).most_common()
        texts = [text for text, _ in usual] or [_text(fallback)]
        for number, text in enumerate(texts, 1):
            name = f"{grid}/{dataset}" + (f" ({number})" if number > 1 else "")
            named[dataset, text] = name
            commits = {_commit(row) for row, one in mine if _text(one or json.loads(text)) == text}
            parts[name] = json.loads(text) | {
                "grid": grid,
                "commits": sorted(commits - {"", "unknown"}) or [commit],
                "precisions": sorted({one for row, _ in mine if (one := _precision(row))}),
                "published": datetime.now(UTC).date().isoformat(),
            }
        named[dataset, ""] = named[dataset, texts[0]]
    return parts, [
        named[row["dataset"], _text(one) if one else ""]
        for row, one in zip(rows, said, strict=True)
    ]


def _is(row: Row, dataset: str) -> bool:
    return bool(row["dataset"] == dataset)


def _environment(row: Row) -> dict[str, Any] | None:
    """Of the pretraining, or of the probe of a raw input, whose evaluations may lie below it."""
    folder = Path(row["run"] or row["probe"])
    for path in (folder / ENVIRONMENT, folder.parent / ENVIRONMENT):
        if path.is_file():
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found
    return None


def _config(row: Row) -> dict[str, Any]:
    path = Path(row["run"] or "") / "config.yaml"
    if not row["run"] or not path.is_file():
        return {}
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def _precision(row: Row) -> str:
    return str(_config(row).get("trainer", {}).get("precision", ""))


def _text(environment: Row) -> str:
    kept = {name: value for name, value in environment.items() if name not in OF_RUN}
    return json.dumps(kept, sort_keys=True)


def _commit(row: Row) -> str:
    """The commit of the code that ran, marked where tracked files differed from it."""
    said = _environment(row) or {}
    commit = str(said.get("commit") or row.get("commit") or "")
    return f"{commit}-dirty" if commit and said.get("dirty") else commit


def _run(row: Row) -> Key:
    return (*_place(row), row["seed"])


def _place(row: Row) -> Key:
    return tuple(row[name] for name in ("dataset", "task", "objective", "encoder"))


def _measure(row: Row) -> Key:
    names = ("modality", "probe", "fraction", "split", "metric")
    return (*_place(row), *(row[name] for name in names))


def _seeds(records: Iterable[Row]) -> dict[Key, str]:
    found: dict[Key, set[int]] = {}
    for row in records:
        found.setdefault(_measure(row), set()).add(row["seed"])
    return {key: " ".join(map(str, sorted(seeds))) for key, seeds in found.items()}


def _cell(row: Row, budget: str, seeds: str) -> Row:
    covers = " ".join(row["covers"])
    return {**row, "budget": budget, "seeds": seeds, "covers": covers, "leads": False}


def _comparison(row: Row, budgets: Mapping[Key, str]) -> Row:
    found = dict(row)
    for side in ("first", "second"):
        one = {**row[side], "dataset": row["dataset"], "task": row["task"]}
        one["budget"] = budgets[_place(one)]
        found |= {f"{side}_{name}": one[name] for name in SIDES}
    return found
