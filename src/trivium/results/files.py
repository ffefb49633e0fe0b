"""Published results as files: runs, records, cells, comparisons and environments."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from trivium.io import write_bytes, write_text

ROOT = Path("docs/results")
"""Where the versions lie, seen from the project's root."""
ENVIRONMENT = "environment.json"
LARGEST_CSV = 2_000_000
"""Bytes; a larger table is written as Parquet."""

WAY = ("dataset", "task", "objective", "encoder", "budget")
"""What a mean is of, whatever modality it is seen by; seeds of one way are averaged."""
KEY = (*WAY, "seed")
"""What records are matched and merged by."""
MEASURE = ("modality", "probe", "fraction", "draw", "split", "metric")
"""Which number of a run a record is."""
RUNS = (
    *KEY, "paradigm", "flops", "samples", "part", "commit", "cell", "identity", "data",
    "settings", "numerics", "pretrain", "probe",
)  # fmt: skip
RECORDS = (*KEY, *MEASURE, "value")
CELLS = (
    *WAY, "modality", "paradigm", "probe", "fraction", "split", "metric", "mean", "low", "high",
    "seeds", "num_draws", "covers", "leads",
)  # fmt: skip
SIDES = ("paradigm", "objective", "encoder", "budget")
COMPARISONS = (
    "dataset", "task", "modality", "probe", "fraction", "split", "metric",
    *(f"first_{name}" for name in SIDES), *(f"second_{name}" for name in SIDES),
    "difference", "low", "high", "p", "adjusted", "verdict", "num_seeds",
)  # fmt: skip
COLUMNS = {"runs": RUNS, "cells": CELLS, "comparisons": COMPARISONS}

INTEGERS = ("seed", "draw", "flops", "samples", "num_draws", "num_seeds")
FLOATS = ("fraction", "value", "mean", "low", "high", "difference", "p", "adjusted")
FLAGS = ("leads",)


@dataclass(frozen=True)
class Results:
    """What was measured, under one protocol, in one part or several.

    Attributes:
        protocol: Version of the protocol.
        parts: The environment of each part, by the part's name.
        runs: One row per run and task: what it was, which part it belongs to, and what makes it
            again (`pretrain`, `probe`: overrides as JSON lists; `trivium.results.verify`).
        records: One measured number each.
        cells: Means over seeds and draws with their intervals; `seeds` and `covers` are words.
        comparisons: Paired comparisons of two ways, as the report states them.
    """

    protocol: str
    parts: Mapping[str, Mapping[str, Any]]
    runs: pd.DataFrame
    records: pd.DataFrame
    cells: pd.DataFrame
    comparisons: pd.DataFrame


def frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows as a table of exactly these columns, typed and in a fixed order."""
    return ordered(pd.DataFrame(list(rows), columns=list(columns)))


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """A table in the order of its own columns, whatever its rows came in, with plain types."""
    kinds = {name: _kind(name) for name in table.columns}
    table = table.astype({name: kind for name, kind in kinds.items() if kind is not str})
    words = [name for name, kind in kinds.items() if kind is str]
    table[words] = table[words].astype(object).where(table[words].notna(), "")
    return table.sort_values(list(table.columns), kind="stable", ignore_index=True)


def write_results(results: Results, folder: Path) -> list[Path]:
    """Write every table and `environment.json`; what an earlier publication left is removed.

    Returns:
        The files.
    """
    tables = {name: getattr(results, name) for name in COLUMNS}
    for dataset, records in results.records.groupby("dataset", sort=True):
        tables[f"records/{dataset}"] = records
    written = [_write_table(table, folder / name) for name, table in tables.items()]
    document = {"protocol": results.protocol, "parts": dict(sorted(results.parts.items()))}
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(folder / ENVIRONMENT, text + "\n")
    for stale in {*folder.rglob("*.csv"), *folder.rglob("*.parquet")} - set(written):
        stale.unlink()
    return [*written, folder / ENVIRONMENT]


def read_results(folder: Path) -> Results:
    """Read what `write_results` wrote.

    Raises:
        FileNotFoundError: Nothing was published there.
        ValueError: A table lacks a column.
    """
    document = read_environment(folder)
    tables = {name: read_table(folder / name, columns) for name, columns in COLUMNS.items()}
    stems = sorted({path.with_suffix("") for path in (folder / "records").glob("*.*")})
    parts = [read_table(stem, RECORDS) for stem in stems]
    records = ordered(pd.concat(parts)) if parts else frame([], RECORDS)
    return Results(document["protocol"], document["parts"], records=records, **tables)


def read_environment(folder: Path) -> dict[str, Any]:
    """What `environment.json` says.

    Raises:
        FileNotFoundError: Nothing was published there.
    """
    path = folder / ENVIRONMENT
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: nothing was published as {folder.name}")
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def read_csv(path: Path) -> pd.DataFrame:
    """A CSV file with the types of its columns; what is missing is NaN or the empty string.

    Numbers are read by Python, whose floats survive writing and reading to the last bit.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    for name in table.columns:
        if name in FLOATS:
            table[name] = [float(text) if text else math.nan for text in table[name]]
        elif name in INTEGERS:
            table[name] = [int(text) for text in table[name]]
        elif name in FLAGS:
            table[name] = [text == "True" for text in table[name]]
    return table.astype({name: _kind(name) for name in table.columns if _kind(name) is not str})


def read_table(stem: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A table by its path without the ending, CSV or Parquet.

    Args:
        stem: `FOLDER/NAME`.
        columns: What it must have; None for anything.

    Raises:
        FileNotFoundError: There is neither.
        ValueError: It has other columns.
    """
    path = stem.with_name(stem.name + ".csv")
    if path.is_file():
        table = read_csv(path)
    else:
        path = stem.with_name(stem.name + ".parquet")
        if not path.is_file():
            raise FileNotFoundError(f"neither {stem}.csv nor {stem}.parquet exists")
        table = pd.read_parquet(path)
    if columns is not None and list(table.columns) != list(columns):
        raise ValueError(f"{path} has the columns {list(table.columns)}, expected {list(columns)}")
    return table if columns is None else ordered(table)


def _kind(name: str) -> type:
    for names, kind in ((INTEGERS, int), (FLOATS, float), (FLAGS, bool)):
        if name in names:
            return kind
    return str


def _write_table(table: pd.DataFrame, stem: Path) -> Path:
    content = table.to_csv(index=False, lineterminator="\n").encode()
    path = stem.with_name(stem.name + ".csv")
    if len(content) > LARGEST_CSV:
        buffer = BytesIO()
        table.to_parquet(buffer, index=False)
        content, path = buffer.getvalue(), stem.with_name(stem.name + ".parquet")
    write_bytes(path, content)
    return path
