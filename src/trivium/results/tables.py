"""Markdown tables of published results."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from trivium.report.records import PARADIGMS
from trivium.report.scores import RETRIEVAL, is_share
from trivium.report.tables import LEGEND, figure, fraction, label, named, share
from trivium.results.files import read_environment, read_table

PLACE = ("dataset", "task", "modality")
WAYS = ("paradigm", "objective", "encoder")
LINEAR = "linear"
WITHIN = "recall@5"
"""What is shown of each stratum."""
RECALLS = ("recall@1", "recall@5", "recall@10")
MORE = {"rankme": "RankMe", "beats_untrained": "beats untrained at"}
"""Columns of `more.csv`, beside the cells of a set, and their heads."""


def answer(folder: Path) -> str:
    """One table: of each data set the linear probe's accuracy of every way of learning."""
    cells = _measured(folder, LINEAR, "accuracy")
    lines: list[str] = []
    shares = sorted(cells["fraction"].unique())
    for place in main_places(cells):
        mine = _at(cells, place)
        for number, row in enumerate(ways(mine, shares, "fraction")):
            texts = [f"**{place[0]}** ({_title(place)})" if number == 0 else "", *row]
            lines.append(_line(texts))
    heads = ["data", *STUB, *(fraction(one) for one in shares)]
    return "\n".join([_line(heads), "|" + "-|" * len(heads), *lines, "", LEGEND])


def findings(folder: Path) -> str:
    """Of each data set, which way leads at each share of the labels and what ties with it."""
    cells = _measured(folder, LINEAR, "accuracy")
    lines = []
    for place in main_places(cells):
        mine = _at(cells, place)
        said = [_leader(mine[mine["fraction"] == one], one) for one in sorted(set(mine.fraction))]
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
        probes = sorted(found["probe"].unique(), key=lambda name: (name != LINEAR, name))
        chosen = dict(zip(PLACE, place, strict=True))
        for probe in probes:
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
    cells = _chosen(_measured(folder, probe, "accuracy"), chosen)
    shares = sorted(cells["fraction"].unique())
    heads = [f"{label(probe)} {share(probe, one)}" for one in shares]
    return _table(heads, cells, shares, "fraction", _more(folder, chosen))


def recall(folder: Path, *, probe: str = RETRIEVAL, within: str = "", **chosen: str) -> str:
    """Recalls and what else is told of retrieval; `within=NAME`: that recall in each stratum."""
    cells = read_table(folder / "cells")
    cells = _chosen(cells[(cells["probe"] == probe) & (cells["split"] == "test")], chosen)
    if within:
        cells = cells[cells["metric"].str.startswith(f"{within}/")]
        columns = sorted(cells["metric"].unique())
        return _table([one.replace("/", ", ") for one in columns], cells, columns, "metric")
    known = [*RECALLS, "median_rank", "modality_gap"]
    columns = [one for one in known if one in set(cells["metric"])]
    return _table([label(one) for one in columns], cells, columns, "metric")


def environment(folder: Path) -> str:
    """Where each part was measured."""
    parts: Mapping[str, Mapping[str, Any]] = read_environment(folder)["parts"]
    names = {
        "commits": "commit", "cpu": "CPU", "cpu_model": "model", "num_cores": "cores",
        "num_threads": "threads", "libraries": "libraries", "precisions": "precision",
        "published": "published",
    }  # fmt: skip
    shown = [name for name in names if any(name in facts for facts in parts.values())]
    lines = [_line(["part", *(names[name] for name in shown)]), "|" + "-|" * (len(shown) + 1)]
    for part, facts in parts.items():
        lines.append(_line([part, *(_fact(facts.get(name)) for name in shown)]))
    return "\n".join(lines)


def plain(folder: Path, *, file: str) -> str:
    """A CSV file as it is, without `commit`; the first word of a row that was `chosen` is bold."""
    table = pd.read_csv(folder / f"{file}.csv", dtype=str, keep_default_na=False)
    table = table.drop(columns="commit", errors="ignore")
    marks = table.pop("chosen") if "chosen" in table else pd.Series("", index=table.index)
    lines = [_line(list(table.columns)), "|" + "-|" * len(table.columns)]
    for mark, row in zip(marks, table.itertuples(index=False), strict=True):
        lines.append(_line([f"**{row[0]}**" if mark else row[0], *row[1:]]))
    return "\n".join(lines)


def notes(folder: Path, *, about: str) -> str:
    """The sentences of `notes.csv` about something, as a list."""
    table = _chosen(read_table(folder / "notes"), {"about": about})
    return "\n".join(f"- {text}" for text in table["text"])


STUB = ("way of learning", "objective", "seeds")
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


def main_places(cells: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Of each data set its first task, seen by all modalities together."""
    found: dict[str, tuple[str, str, str]] = {}
    for place in _places(cells):
        best = found.setdefault(place[0], place)
        if best[1] == place[1] and place[2].count("+") > best[2].count("+"):
            found[place[0]] = place
    return list(found.values())


def ways(cells: pd.DataFrame, columns: Sequence[Any], by: str) -> list[list[str]]:
    """Rows of texts: paradigm, objective, seeds, and each column's mean [low, high]."""
    trained = frozenset(cells[cells["paradigm"].isin(PARADIGMS[:-1])]["encoder"])
    rows = []
    for (paradigm, objective, encoder), group in _by_way(cells):
        found = {row[by]: row for row in group.to_dict("records")}
        num_seeds = max(len(one["seeds"].split()) for one in found.values())
        stub = [
            paradigm.replace("_", "-"),
            named(objective, encoder, trained),
            str(num_seeds) if num_seeds else "-",
        ]
        rows.append([*stub, *(cell_text(found.get(one)) for one in columns)])
    return rows


def cell_text(cell: Mapping[str, Any] | None) -> str:
    """Mean [low, high], bold if the cell leads its column; a dash where nothing was measured."""
    if cell is None:
        return "-"
    mean = figure(cell["mean"], cell["metric"])
    mean = f"**{mean}**" if cell["leads"] else mean
    if math.isnan(cell["low"]) or not is_share(cell["metric"]):
        return mean
    return f"{mean} [{figure(cell['low'], cell['metric'])}, {figure(cell['high'], cell['metric'])}]"


def _table(
    heads: Sequence[str],
    cells: pd.DataFrame,
    columns: Sequence[Any],
    by: str,
    more: Mapping[str, Mapping[Any, str]] | None = None,
) -> str:
    more = more or {}
    heads = ["paradigm", "objective", "seeds", *heads, *more]
    lines = [_line(heads), "|" + "-|" * len(heads)]
    for (key, _), row in zip(_by_way(cells), ways(cells, columns, by), strict=True):
        lines.append(_line([*row, *(found.get(key, "-") for found in more.values())]))
    return "\n".join(lines)


def _by_way(cells: pd.DataFrame) -> list[tuple[Any, pd.DataFrame]]:
    def order(group: tuple[Any, pd.DataFrame]) -> tuple[Any, ...]:
        paradigm, *rest = group[0]
        return ([*PARADIGMS, paradigm].index(paradigm), *rest)

    return sorted(cells.groupby(list(WAYS), sort=False), key=order)


def _more(folder: Path, chosen: Mapping[str, str]) -> dict[str, dict[Any, str]]:
    if not (folder / "more.csv").is_file():
        return {}
    rows = _chosen(read_table(folder / "more"), chosen).to_dict("records")
    return {
        head: {tuple(row[name] for name in WAYS): row[column] for row in rows}
        for column, head in MORE.items()
    }


def _measured(folder: Path, probe: str, metric: str) -> pd.DataFrame:
    cells = read_table(folder / "cells")
    return cells[
        (cells["probe"] == probe) & (cells["metric"] == metric) & (cells["split"] == "test")
    ]


def _chosen(cells: pd.DataFrame, chosen: Mapping[str, str]) -> pd.DataFrame:
    for name, value in chosen.items():
        if name not in cells:
            raise ValueError(f"a table cannot be chosen by {name}: there is no such column")
        cells = cells[cells[name] == value]
    if cells.empty:
        raise ValueError(f"nothing was measured of {dict(chosen)}")
    return cells


def _places(cells: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Datasets in order, retrieval after what is predicted, several modalities after each."""
    retrieved = set(cells[cells["probe"] == RETRIEVAL]["task"])
    found = set(zip(*(cells[name] for name in PLACE), strict=True))
    return sorted(found, key=lambda o: (o[0], o[1] in retrieved, o[1], o[2].count("+"), o[2]))


def _at(cells: pd.DataFrame, place: tuple[str, str, str]) -> pd.DataFrame:
    return _chosen(cells, dict(zip(PLACE, place, strict=True)))


def _title(place: tuple[str, str, str]) -> str:
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
    best = cells.loc[cells["mean"].idxmax()]
    tied = cells[cells["leads"] & (cells.index != best.name)].sort_values("mean", ascending=False)
    said = f"with {fraction(fraction_of_labels)} of the labels {_called(best)} is best"
    if tied.empty:
        return f"{said}, ahead of all that it was compared with"
    return f"{said}, not distinguishable from {', '.join(map(_called, _rows(tied)))}"


def _rows(cells: pd.DataFrame) -> list[Any]:
    return [cells.loc[index] for index in cells.index]


def _called(cell: Any) -> str:
    kind = "" if cell["paradigm"] == "control" else f"{cell['paradigm'].replace('_', '-')} "
    return f"{kind}{label(cell['objective'])} ({figure(cell['mean'], cell['metric'])} %)"


def _fact(value: object) -> str:
    if isinstance(value, Mapping):
        shown = ("torch", "numpy", "scipy", "scikit-learn")
        return ", ".join(f"{name} {value[name]}" for name in shown if name in value)
    if isinstance(value, list):
        return ", ".join(str(one)[:10] for one in value)
    return "-" if value is None else str(value)


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(texts) + " |"
