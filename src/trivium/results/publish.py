"""What a report found, as results to publish: each data set a part with its environment."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

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
PLACE = ("dataset", "task", "objective", "encoder")
MEASURED = (*PLACE, "modality", "probe", "fraction", "split", "metric")


@dataclass(frozen=True)
class Run:
    """One run that a report examined, with what its folder says."""

    row: Row

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Of the pretraining, or of the probe of a raw input, whose evaluations may lie below it.

        Empty where there is none.
        """
        folder = Path(self.row["run"] or self.row["probe"])
        for path in (folder / ENVIRONMENT, folder.parent / ENVIRONMENT):
            if path.is_file():
                found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                return found
        return {}

    @cached_property
    def config(self) -> dict[str, Any]:
        """Its resolved config; empty where it has none."""
        path = Path(self.row["run"] or "") / "config.yaml"
        if not self.row["run"] or not path.is_file():
            return {}
        found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        return found

    @property
    def machine(self) -> str:
        """Its environment without what is of this run alone, as JSON; empty where it has none."""
        return _machine(self.environment) if self.environment else ""

    @property
    def commit(self) -> str:
        """The commit of the code that ran, marked where tracked files differed from it."""
        commit = str(self.environment.get("commit") or self.row.get("commit") or "")
        return f"{commit}-dirty" if commit and self.environment.get("dirty") else commit

    @property
    def budget(self) -> str:
        """The budget that it was given, as `5e+11 flops`; `none` of what was not trained."""
        if not self.row["flops"]:
            return NO_BUDGET
        for unit, amount in self.config.get("budget", {}).items():
            if isinstance(amount, int | float) and amount:
                return f"{amount:.4g} {unit}"
        return f"{self.row['flops']:.2g} flops"


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
    runs = [Run(row) for row in content["runs"]]
    budgets = {_key(run.row, (*PLACE, "seed")): run.budget for run in runs}
    places = {_key(run.row): run.budget for run in runs}
    seeds: dict[Key, set[int]] = defaultdict(set)
    for row in content["records"]:
        row["budget"] = budgets[_key(row, (*PLACE, "seed"))]
        seeds[_key(row, MEASURED)].add(row["seed"])
    for row in content["cells"]:
        row |= {"budget": places[_key(row)], "covers": " ".join(row["covers"]), "leads": False}
        row["seeds"] = " ".join(map(str, sorted(seeds[_key(row, MEASURED)])))
    for row in content["comparisons"]:
        for side in ("first", "second"):
            one = {**row[side], "dataset": row["dataset"], "task": row["task"]}
            one["budget"] = places[_key(one)]
            row |= {f"{side}_{name}": one[name] for name in SIDES}
    parts, names = _parts(runs, grid, environment, str(document["commit"]))
    rows = [_row(run, part, made) for run, part in zip(runs, names, strict=True)]
    found = Results(
        str(document["protocol"]),
        parts,
        frame(_unique(rows), RUNS),
        frame(content["records"], RECORDS),
        frame(content["cells"], CELLS),
        frame(content["comparisons"], COMPARISONS),
    )
    return with_leaders(found)


def _row(run: Run, part: str, made: Callable[[str, int], Rerun]) -> dict[str, Any]:
    """A row of `runs.csv`."""
    again = made(run.row["cell"], run.row["seed"])
    return {
        **{column: run.row[column] for column in RUNS if column in run.row},
        "budget": run.budget,
        "part": part,
        "commit": run.commit,
        "identity": run.environment.get("identity", ""),
        **again._asdict(),
        "pretrain": json.dumps(again.pretrain, ensure_ascii=False),
        "probe": json.dumps(again.probe, ensure_ascii=False),
    }


def _unique(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first row of each key; a run that was examined several times has several."""
    found: dict[Key, dict[str, Any]] = {}
    for row in rows:
        key = _key(row, KEY)
        if found.setdefault(key, row)["identity"] != row["identity"]:
            raise ValueError(
                f"two runs have the same {', '.join(KEY)}: {key}; give one of them another name"
            )
    return list(found.values())


def _parts(
    runs: Sequence[Run], grid: str, fallback: Row, commit: str
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Environments by part, and each run's part; a data set of two environments has two parts.

    Runs without an environment belong to their data set's most frequent one.
    """
    parts: dict[str, dict[str, Any]] = {}
    named: dict[tuple[str, str], str] = {}
    for dataset in dict.fromkeys(run.row["dataset"] for run in runs):
        mine = [run for run in runs if run.row["dataset"] == dataset]
        machines = [text for text, _ in Counter(one.machine for one in mine).most_common() if text]
        for number, text in enumerate(machines or [_machine(fallback)], 1):
            name = f"{grid}/{dataset}" + (f" ({number})" if number > 1 else "")
            own = {text, ""} if number == 1 else {text}
            members = [one for one in mine if one.machine in own]
            precisions = {one.config.get("trainer", {}).get("precision") for one in mine}
            parts[name] = json.loads(text) | {
                "grid": grid,
                "commits": sorted({one.commit for one in members} - {"", "unknown"}) or [commit],
                "precisions": sorted(str(one) for one in precisions if one),
                "published": datetime.now(UTC).date().isoformat(),
            }
            named |= {(dataset, one.machine): name for one in members}
    return parts, [named[run.row["dataset"], run.machine] for run in runs]


def _machine(environment: Row) -> str:
    kept = {name: value for name, value in environment.items() if name not in OF_RUN}
    return json.dumps(kept, sort_keys=True)


def _key(row: Row, names: Sequence[str] = PLACE) -> Key:
    return tuple(row[name] for name in names)
