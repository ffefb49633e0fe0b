"""Tables of cells: rows are objectives, columns are probes and label fractions."""

import functools
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from trivium.report.cells import Cell, Scores
from trivium.report.pairwise import Comparison, Verdict
from trivium.report.records import SEEDLESS
from trivium.report.scores import MAIN, is_share


def with_prefix(value: float | None, unit: str = "") -> str:
    """A figure of three digits with an SI prefix; a dash if it is unknown."""
    if value is None:
        return "-"
    for power, prefix in ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power:
            return f"{value / 10**power:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".rstrip()


LEGEND = (
    "Mean over seeds and label draws with its 95 % interval; bold: the best of a column and all "
    "that cannot be told from it (on the same test items, Holm-corrected)."
)
TITLE = re.compile(r'^    title: ClassVar\[str\] = "(.+)"$', re.MULTILINE)
STUB = ("paradigm", "objective", "seeds")
"""Heads of the columns that every table begins with."""
WITHOUT = " without "
"""Stands in the name of a probe from whose test items a modality was withheld."""
ZERO_SHOT = "zero-shot"
"""The probe that is fitted on no labels."""


class Entry(NamedTuple):
    """Of accuracy or recall@5, `best` is the highest of its column, `tied` not told from it."""

    scores: Scores
    best: bool
    tied: bool

    @property
    def leads(self) -> bool:
        """Whether it is the best of its column, or cannot be told from it."""
        return self.best or self.tied

    @property
    def mean(self) -> float:
        """The cell's mean."""
        return self.scores.interval.mean

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The cell's interval, if anything measures one."""
        low, high = self.scores.interval.low, self.scores.interval.high
        return None if math.isnan(low) else (low, high)


class Row(NamedTuple):
    """One objective on one encoder; an entry is None where it was not measured."""

    paradigm: str
    objective: str
    encoder: str
    label: str
    num_seeds: int
    entries: tuple[Entry | None, ...]


class Table(NamedTuple):
    """All cells of one dataset, task and modality, under one metric on the test split.

    What is measured where a modality is withheld (`linear without text`) has a table of its own.
    """

    dataset: str
    task: str
    modality: str
    metric: str
    withheld: bool
    columns: tuple[tuple[str, float], ...]
    rows: tuple[Row, ...]

    @property
    def probes(self) -> tuple[tuple[str, int], ...]:
        """Each probe and the number of its columns, in order."""
        names = [probe for probe, _ in self.columns]
        return tuple((name, names.count(name)) for name in dict.fromkeys(names))

    @property
    def heads(self) -> tuple[str, ...]:
        """The head of each column, for the eye."""
        return tuple(f"{label(probe)} {share(probe, value)}" for probe, value in self.columns)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric of each column."""
        return (self.metric,) * len(self.columns)


def tables(scores: Sequence[Scores], comparisons: Sequence[Comparison]) -> tuple[Table, ...]:
    """One table per dataset, task, modality and metric, in the order of `scores`."""
    groups: dict[tuple[str, str, str, str, bool], list[Scores]] = {}
    for one in scores:
        if one.cell.split == "test":
            key = (*one.cell.place, one.cell.metric, WITHOUT in one.cell.probe)
            groups.setdefault(key, []).append(one)
    verdicts = {(one.first, one.second): one for one in comparisons}
    return tuple(
        _table(key, members, verdicts)
        for key, members in groups.items()
        if key[3] in MAIN or not key[4]
    )


def beats(
    first: Cell, second: Cell, verdicts: dict[tuple[Cell, Cell], Comparison]
) -> Comparison | None:
    """The comparison of two cells seen from the first; None if they were not compared."""
    if (first, second) in verdicts:
        return verdicts[first, second]
    found = verdicts.get((second, first))
    if found is None:
        return None
    turned: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}
    return found._replace(
        first=first,
        second=second,
        difference=-found.difference,
        low=-found.high,
        high=-found.low,
        verdict=turned.get(found.verdict, found.verdict),
    )


def percent(value: float) -> str:
    """A share as a figure in percent with one decimal."""
    return f"{100 * value:.1f}"


def figure(value: float, metric: str) -> str:
    """A metric's value: in percent if it is a share, else to four digits."""
    return percent(value) if is_share(metric) else f"{value:.4g}"


def fraction(value: float) -> str:
    """A label fraction as the tables head it."""
    return f"{100 * value:g} %"


def share(probe: str, value: float) -> str:
    """The same for a probe: none for what never sees a label."""
    return "no labels" if probe == ZERO_SHOT else fraction(value)


def trained(scores: Iterable[Scores]) -> frozenset[str]:
    """The encoders that something was trained on."""
    return frozenset(one.cell.encoder for one in scores if one.cell.paradigm != "control")


def named(objective: str, encoder: str, encoders: frozenset[str]) -> str:
    """An objective for the eye, with its encoder where there are several of them."""
    both = len(encoders) > 1 and objective not in SEEDLESS
    return label(objective) + (f" · {encoder}" if both else "")


def label(name: str) -> str:
    """An objective's, probe's or metric's name as tables and figures show it."""
    named = {
        "raw": "raw input",
        "duration": "duration alone",
        "ridge": "ridge regression",
        "knn": "kNN",
        "finetune": "fine-tuning",
        "macro_f1": "macro-F1",
        "ece": "calibration error (ECE, lower is better)",
        "rankme": "RankMe",
        "lidar": "LiDAR",
        "alpha_req": "alpha-ReQ",
    }
    return (named | objective_titles()).get(name, name.replace("_", " "))


@functools.cache
def objective_titles() -> dict[str, str]:
    """Each objective's `title` by its name, read from the sources: an import would load torch."""
    files = (Path(__file__).parents[1] / "objectives").glob("*/*.py")
    found = {file.stem: TITLE.search(file.read_text(encoding="utf-8")) for file in files}
    return {name: title[1] for name, title in found.items() if title}


def heading(table: Table) -> str:
    """What a table is of."""
    return label(table.metric) + (" where a modality is withheld" if table.withheld else "")


def senses(names: Sequence[str]) -> str:
    """Modalities in a sentence."""
    return " and ".join("images" if name == "image" else name for name in names)


def points(one: Comparison) -> str:
    """A difference in points with its interval; never a negative zero."""
    shown = [round(100 * value, 1) + 0.0 for value in (one.difference, one.low, one.high)]
    return f"{shown[0]:+.1f} points [{shown[1]:.1f}, {shown[2]:.1f}]"


class Column(NamedTuple):
    """One more column of a Markdown table: its head, and the text of each row."""

    head: str
    text: Callable[[Row], str]


def markdown(table: Table, more: Sequence[Column] = ()) -> str:
    """The table in Markdown: mean [low, high]; bold are the best and all tied with it."""
    return grid(table.heads, table.rows, table.metrics, more)


def grid(
    heads: Sequence[str], rows: Sequence[Row], metrics: Sequence[str], more: Sequence[Column] = ()
) -> str:
    """Rows in Markdown, with the head and the metric of each column."""
    heads = [*STUB, *heads, *(column.head for column in more)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "-|" * len(heads)]
    for row in rows:
        texts = [*stub(row), *filled(row, metrics, "**{}**")]
        texts += [column.text(row) for column in more]
        lines.append("| " + " | ".join(texts) + " |")
    return "\n".join(lines)


def stub(row: Row) -> tuple[str, str, str]:
    """What a row begins with, under the heads of `STUB`."""
    return row.paradigm.replace("_", "-"), row.label, str(row.num_seeds)


def filled(row: Row, metrics: Sequence[str], bold: str) -> list[str]:
    """Each entry as mean [low, high]; `bold` is the format of the mean of the best and tied."""
    return [_filled(*pair, bold) for pair in zip(row.entries, metrics, strict=True)]


def narrowed(table: Table, probe: str) -> Table:
    """The table with the columns of one probe only."""
    kept = [index for index, (name, _) in enumerate(table.columns) if name == probe]
    rows = tuple(
        row._replace(entries=tuple(row.entries[index] for index in kept)) for row in table.rows
    )
    return table._replace(columns=tuple(table.columns[index] for index in kept), rows=rows)


def _filled(entry: Entry | None, metric: str, bold: str) -> str:
    if entry is None:
        return "-"
    mean = figure(entry.mean, metric)
    mean = bold.format(mean) if entry.leads else mean
    if entry.bounds is None:
        return mean
    return f"{mean} [{figure(entry.bounds[0], metric)}, {figure(entry.bounds[1], metric)}]"


def _table(
    key: tuple[str, str, str, str, bool],
    members: Sequence[Scores],
    verdicts: dict[tuple[Cell, Cell], Comparison],
) -> Table:
    columns = tuple(dict.fromkeys((one.cell.probe, one.cell.fraction) for one in members))
    found = {
        (
            one.cell.paradigm,
            one.cell.objective,
            one.cell.encoder,
            one.cell.probe,
            one.cell.fraction,
        ): one
        for one in members
    }
    best = {
        column: max(
            (one for one in members if (one.cell.probe, one.cell.fraction) == column),
            key=lambda one: one.interval.mean,
        )
        for column in columns
    }
    encoders = trained(members)
    names = dict.fromkeys((o.cell.paradigm, o.cell.objective, o.cell.encoder) for o in members)
    rows = []
    for paradigm, objective, encoder in names:
        mine = [found.get((paradigm, objective, encoder, *column)) for column in columns]
        entries = tuple(
            None if one is None else _entry(one, best[column], verdicts)
            for one, column in zip(mine, columns, strict=True)
        )
        shown = named(objective, encoder, encoders)
        num_seeds = max(len(one.seeds) for one in mine if one)
        rows.append(Row(paradigm, objective, encoder, shown, num_seeds, entries))
    return Table(*key, columns, tuple(rows))


def _entry(one: Scores, best: Scores, verdicts: dict[tuple[Cell, Cell], Comparison]) -> Entry:
    comparison = beats(best.cell, one.cell, verdicts)
    tied = comparison is not None and comparison.verdict != "better"
    return Entry(one, one is best and one.cell.metric in MAIN, tied)
