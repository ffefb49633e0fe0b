"""Markdown tables of published results."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from trivium.report.records import PARADIGMS
from trivium.report.retrieval import MEASURES, WITHIN
from trivium.report.scores import RETRIEVAL, is_share
from trivium.report.tables import (
    LEGEND,
    STUB,
    figure,
    fraction,
    interval_text,
    label,
    markdown,
    named,
    share,
)
from trivium.results.files import read_environment, read_table

PLACE = ("dataset", "task", "modality")
WAYS = ("paradigm", "objective", "encoder")
LINEAR = "linear"
RECALLS = MEASURES[:3]
MORE = {"rankme": "RankMe", "beats_untrained": "beats untrained at"}
"""Columns of `more.csv`, beside the cells of a set, and their heads."""
FACTS = {
    "commits": "commit", "cpu": "CPU", "cpu_model": "model", "num_cores": "cores",
    "num_threads": "threads", "libraries": "libraries", "precisions": "precision",
    "published": "published",
}  # fmt: skip
"""What is shown of an environment, and its heads."""
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn")

Place = tuple[str, str, str]


def answer(folder: Path) -> str:
    """One table: of each data set the linear probe's accuracy of every way of learning."""
    cells = _measured(folder, LINEAR)
    shares = sorted(cells["fraction"].unique())
    rows = []
    for place in main_places(cells):
        title = f"**{place[0]}** ({_title(place)})"
        for row in ways(_at(cells, place), shares, "fraction").values():
            rows.append([title, *row])
            title = ""
    heads = ["data", "way of learning", *STUB[1:], *map(fraction, shares)]
    return f"{markdown(heads, rows)}\n\n{LEGEND}"


def findings(folder: Path) -> str:
    """Of each data set, which way leads at each share of the labels and what ties with it."""
    cells = _measured(folder, LINEAR)
    lines = []
    for place in main_places(cells):
        said = [_leader(column, one) for one, column in _at(cells, place).groupby("fraction")]
        lines.append(f"- **{place[0]}**: {'; '.join(said)}.")
    return "\n".join(lines)


def everything(folder: Path) -> str:
    """All accuracies by probe, and retrieval, of every data set, task and modality."""
    cells = read_table(folder / "cells")
    parts = []
    for place in _places(cells):
        mine = _at(cells, place)
        parts.append(f"### {place[0]}: {_title(place)}")
        found = mine[(mine["split"] == "test") & (mine["metric"] == "accuracy")]
        chosen = dict(zip(PLACE, place, strict=True))
        for probe in sorted(found["probe"].unique(), key=lambda name: (name != LINEAR, name)):
            table = accuracy(folder, probe=probe, **chosen)
            parts += [f"{label(probe)}, test accuracy in %:", table]
        if set(mine["metric"]) & set(RECALLS):
            parts += ["Retrieval, test recall in %:", recall(folder, **chosen)]
            parts += _chance(mine)
            if mine["metric"].str.startswith(f"{WITHIN}/").any():
                parts.append(recall(folder, within=WITHIN, **chosen))
    return "\n\n".join([*parts, LEGEND])


def accuracy(folder: Path, *, probe: str = LINEAR, **chosen: str) -> str:
    """Accuracies of one probe at each share of labels, and what `more.csv` says of each row."""
    cells = _chosen(_measured(folder, probe), chosen)
    shares = sorted(cells["fraction"].unique())
    heads = [*STUB, *(f"{label(probe)} {share(probe, one)}" for one in shares)]
    rows = ways(cells, shares, "fraction")
    if (folder / "more.csv").is_file():
        more = _chosen(read_table(folder / "more"), chosen).set_index(list(WAYS))
        for way, row in rows.items():
            row += [str(more.loc[way, column]) if way in more.index else "-" for column in MORE]
        heads += MORE.values()
    return markdown(heads, rows.values())


def recall(folder: Path, *, probe: str = RETRIEVAL, within: str = "", **chosen: str) -> str:
    """Recalls and what else is told of retrieval; `within=NAME`: that recall in each stratum."""
    cells = read_table(folder / "cells")
    cells = _chosen(cells[(cells["probe"] == probe) & (cells["split"] == "test")], chosen)
    measured = set(cells["metric"])
    columns = [one for one in MEASURES if one in measured]
    heads = list(map(label, columns))
    if within:
        columns = sorted(one for one in measured if one.startswith(f"{within}/"))
        heads = [one.replace("/", ", ") for one in columns]
        cells = cells[cells["metric"].isin(columns)]
    return markdown([*STUB, *heads], ways(cells, columns, "metric").values())


def environment(folder: Path) -> str:
    """Where each part was measured."""
    parts: Mapping[str, Mapping[str, Any]] = read_environment(folder)["parts"]
    shown = [name for name in FACTS if any(name in facts for facts in parts.values())]
    rows = [[part, *(_fact(of.get(name)) for name in shown)] for part, of in parts.items()]
    return markdown(["part", *(FACTS[name] for name in shown)], rows)


def plain(folder: Path, *, file: str) -> str:
    """A CSV file as it is, without `commit`; the first word of a row that was `chosen` is bold."""
    table = pd.read_csv(folder / f"{file}.csv", dtype=str, keep_default_na=False)
    table = table.drop(columns="commit", errors="ignore")
    if "chosen" in table:
        marked = table.pop("chosen") != ""
        first = table.columns[0]
        table.loc[marked, first] = "**" + table.loc[marked, first] + "**"
    return markdown(list(table.columns), table.to_numpy().tolist())


def notes(folder: Path, *, about: str) -> str:
    """The sentences of `notes.csv` about something, as a list."""
    table = _chosen(read_table(folder / "notes"), {"about": about})
    return "\n".join(f"- {text}" for text in table["text"])


RENDERERS: dict[str, Callable[..., str]] = {
    "answer": answer,
    "findings": findings,
    "everything": everything,
    "accuracy": accuracy,
    "recall": recall,
    "environment": environment,
    "table": plain,
    "notes": notes,
}
"""What a block may be named."""


def main_places(cells: pd.DataFrame) -> list[Place]:
    """Of each data set its first task, seen by all modalities together."""
    found: dict[str, Place] = {}
    for place in _places(cells):
        best = found.setdefault(place[0], place)
        if best[1] == place[1] and place[2].count("+") > best[2].count("+"):
            found[place[0]] = place
    return list(found.values())


def ways(cells: pd.DataFrame, columns: Sequence[Any], by: str) -> dict[Any, list[str]]:
    """Rows of texts by what they are of: the stub, and each column's mean [low, high]."""

    def order(group: tuple[Any, pd.DataFrame]) -> tuple[Any, ...]:
        paradigm, *rest = group[0]
        return ([*PARADIGMS, paradigm].index(paradigm), *rest)

    trained = set(cells[cells["paradigm"].isin(PARADIGMS[:-1])]["encoder"])
    rows = {}
    for way, group in sorted(cells.groupby(list(WAYS), sort=False), key=order):
        paradigm, objective, encoder = way
        found = {row[by]: row for row in group.to_dict("records")}
        num_seeds = max(len(one["seeds"].split()) for one in found.values())
        stub = [paradigm.replace("_", "-"), named(objective, encoder, trained)]
        texts = [_cell_text(found.get(one)) for one in columns]
        rows[way] = [*stub, str(num_seeds or "-"), *texts]
    return rows


def _cell_text(cell: Mapping[str, Any] | None) -> str:
    """Mean [low, high], bold if the cell leads its column; a dash where nothing was measured."""
    if cell is None:
        return "-"
    bounds = None if math.isnan(cell["low"]) else (cell["low"], cell["high"])
    bounds = bounds if is_share(cell["metric"]) else None
    return interval_text(cell["mean"], bounds, cell["metric"], "**{}**" if cell["leads"] else "{}")


def _measured(folder: Path, probe: str) -> pd.DataFrame:
    """Test accuracies of one probe."""
    cells = read_table(folder / "cells")
    chosen = (cells["probe"] == probe) & (cells["metric"] == "accuracy")
    return cells[chosen & (cells["split"] == "test")]


def _chosen(cells: pd.DataFrame, chosen: Mapping[str, str]) -> pd.DataFrame:
    for name, value in chosen.items():
        if name not in cells:
            raise ValueError(f"a table cannot be chosen by {name}: there is no such column")
        cells = cells[cells[name] == value]
    if cells.empty:
        raise ValueError(f"nothing was measured of {dict(chosen)}")
    return cells


def _places(cells: pd.DataFrame) -> list[Place]:
    """Datasets in order, retrieval after what is predicted, several modalities after each."""
    retrieved = set(cells[cells["probe"] == RETRIEVAL]["task"])
    found = set(zip(*(cells[name] for name in PLACE), strict=True))
    return sorted(found, key=lambda o: (o[0], o[1] in retrieved, o[1], o[2].count("+"), o[2]))


def _at(cells: pd.DataFrame, place: Place) -> pd.DataFrame:
    return _chosen(cells, dict(zip(PLACE, place, strict=True)))


def _title(place: Place) -> str:
    """Task and modality, as far as a reader needs both."""
    if " to " in place[1]:
        return place[1] if "+" in place[2] else f"{place[1]}, linear"
    return f"{place[1]}, {place[2]}" if "+" in place[2] else place[1]


def _chance(cells: pd.DataFrame) -> list[str]:
    means = cells.groupby("metric")["mean"].mean()
    chance = {one: one.replace("recall", "chance") for one in RECALLS}
    found = [f"{100 * means[c]:.1f} % ({one})" for one, c in chance.items() if c in means]
    if not found:
        return []
    return [
        f"Each query is compared with {means['num_candidates']:.4g} candidates; chance finds "
        f"{', '.join(found)}."
    ]


def _leader(cells: pd.DataFrame, fraction_of_labels: float) -> str:
    best, *others = cells.sort_values("mean", ascending=False, kind="stable").to_dict("records")
    tied = [_called(one) for one in others if one["leads"]]
    said = f"with {fraction(fraction_of_labels)} of the labels {_called(best)} is best"
    if not tied:
        return f"{said}, ahead of all that it was compared with"
    return f"{said}, not distinguishable from {', '.join(tied)}"


def _called(cell: Mapping[str, Any]) -> str:
    kind = "" if cell["paradigm"] == "control" else f"{cell['paradigm'].replace('_', '-')} "
    return f"{kind}{label(cell['objective'])} ({figure(cell['mean'], cell['metric'])} %)"


def _fact(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {value[name]}" for name in LIBRARIES if name in value)
    if isinstance(value, list):
        return ", ".join(str(one)[:10] for one in value)
    return "-" if value is None else str(value)
