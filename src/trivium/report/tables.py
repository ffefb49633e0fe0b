"""Tables of cells: rows are objectives, columns are probes and label fractions."""

import functools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from trivium.report.cells import Cell, Scores
from trivium.report.pairwise import Comparison, Verdict
from trivium.report.records import SEEDLESS
from trivium.report.scores import MAIN, is_share

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
LABELS = {
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
"""Names of probes, metrics and controls without a class that are not their keys."""

RowKey = tuple[str, str, str]
"""Paradigm, objective and encoder: what a row is of."""


class Estimate(NamedTuple):
    """Of accuracy or recall@5, `best` is the highest of its column, `tied` not told from it."""

    scores: Scores
    best: bool = False
    tied: bool = False

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
    entries: tuple[Estimate | None, ...]

    @property
    def way(self) -> RowKey:
        """What it is of."""
        return self[:3]


@runtime_checkable
class Gridded(Protocol):
    """Anything that is shown as a table: the head and the metric of each column, and the rows."""

    @property
    def heads(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def metrics(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def rows(self) -> tuple[Row, ...]: ...  # noqa: D102


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
        """The title of each column."""
        return tuple(f"{label(probe)} {share(probe, value)}" for probe, value in self.columns)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric of each column."""
        return (self.metric,) * len(self.columns)

    def narrowed(self, probe: str) -> "Table":
        """The table with the columns of one probe only."""
        kept = [index for index, (name, _) in enumerate(self.columns) if name == probe]
        rows = [r._replace(entries=tuple(r.entries[index] for index in kept)) for r in self.rows]
        return self._replace(columns=tuple(self.columns[i] for i in kept), rows=tuple(rows))


def tables(scores: Sequence[Scores], comparisons: Sequence[Comparison]) -> tuple[Table, ...]:
    """One table per dataset, task, modality and metric, in the order of `scores`."""
    groups: dict[tuple[str, str, str, str, bool], list[Scores]] = {}
    for one in scores:
        if one.cell.split == "test":
            key = (*one.cell.place, one.cell.metric, WITHOUT in one.cell.probe)
            groups.setdefault(key, []).append(one)
    verdicts = {(one.first, one.second): one for one in comparisons}
    found = []
    for key, members in groups.items():
        if key[3] in MAIN or not key[4]:
            columns: dict[tuple[str, float], dict[RowKey, Estimate]] = {}
            for one in members:
                mine = columns.setdefault((one.cell.probe, one.cell.fraction), {})
                mine[way_of(one.cell)] = Estimate(one)
            for mine in columns.values():
                _mark(mine, verdicts)
            found.append(Table(*key, tuple(columns), rows_of(list(columns.values()), members)))
    return tuple(found)


def _mark(column: dict[RowKey, Estimate], verdicts: Mapping[tuple[Cell, Cell], Comparison]) -> None:
    """Say which entries of a column are the best or cannot be told from it."""
    best = max((entry.scores for entry in column.values()), key=lambda one: one.interval.mean)
    for way, entry in column.items():
        comparison = beats(best.cell, entry.scores.cell, verdicts)
        tied = comparison is not None and comparison.verdict != "better"
        is_best = entry.scores is best and best.cell.metric in MAIN
        column[way] = entry._replace(best=is_best, tied=tied)


def rows_of(
    columns: Sequence[Mapping[RowKey, Estimate]], place: Iterable[Scores]
) -> tuple[Row, ...]:
    """Entries by column as rows, in the order in which the scores of their place come.

    Args:
        columns: Entries by what they are of.
        place: The scores whose encoders decide whether a row names its own.
    """
    place = list(place)
    encoders = {one.cell.encoder for one in place if one.cell.paradigm != "control"}
    ways = dict.fromkeys(way_of(one.cell) for one in place)
    rows = []
    for way in ways:
        entries = tuple(column.get(way) for column in columns)
        num_seeds = max((len(one.scores.seeds) for one in entries if one), default=0)
        if num_seeds:
            rows.append(Row(*way, named(way[1], way[2], encoders), num_seeds, entries))
    return tuple(rows)


def way_of(cell: Cell) -> RowKey:
    """What a row with this cell is of."""
    return cell.paradigm, cell.objective, cell.encoder


def beats(
    first: Cell, second: Cell, verdicts: Mapping[tuple[Cell, Cell], Comparison]
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


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts in Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in (heads, *rows)]
    return "\n".join([lines[0], "|" + "-|" * len(heads), *lines[1:]])


def grid(found: Gridded) -> str:
    """A table of entries in Markdown: mean [low, high]; bold are the best and all tied with it."""
    return markdown([*STUB, *found.heads], texts(found))


def texts(found: Gridded, bold: str = "**{}**") -> list[list[str]]:
    """The rows of a table as texts; `bold` is the format of the mean of the best and tied."""
    return [
        [row.paradigm.replace("_", "-"), row.label, str(row.num_seeds)]
        + [
            interval_text(one.mean, one.bounds, metric, bold if one.leads else "{}") if one else "-"
            for one, metric in zip(row.entries, found.metrics, strict=True)
        ]
        for row in found.rows
    ]


def interval_text(
    mean: float, bounds: tuple[float, float] | None, metric: str, form: str = "{}"
) -> str:
    """`mean [low, high]`, or the mean alone where nothing bounds it; `form` is of the mean."""
    shown = form.format(figure(mean, metric))
    return shown + (f" [{', '.join(figure(one, metric) for one in bounds)}]" if bounds else "")


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


def points(one: Comparison) -> str:
    """A difference in points with its interval; never a negative zero."""
    shown = [round(100 * value, 1) + 0.0 for value in (one.difference, one.low, one.high)]
    return f"{shown[0]:+.1f} points [{shown[1]:.1f}, {shown[2]:.1f}]"


def with_prefix(value: float | None, unit: str = "") -> str:
    """A figure of three digits with an SI prefix; a dash if it is unknown."""
    if value is None:
        return "-"
    for power, prefix in ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power:
            return f"{value / 10**power:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".rstrip()


def named(objective: str, encoder: str, encoders: Iterable[str]) -> str:
    """An objective's label, with its encoder where something was trained on several of them."""
    both = len(set(encoders)) > 1 and objective not in SEEDLESS
    return label(objective) + (f" · {encoder}" if both else "")


def label(name: str) -> str:
    """The label of an objective, a probe or a metric."""
    return (LABELS | objective_titles()).get(name, name.replace("_", " "))


@functools.cache
def objective_titles() -> dict[str, str]:
    """Each objective's `title` by its name, read from the sources: an import would load torch."""
    files = (Path(__file__).parents[1] / "objectives").glob("*/*.py")
    found = {file.stem: TITLE.search(file.read_text(encoding="utf-8")) for file in files}
    return {name: title[1] for name, title in found.items() if title}


def heading(table: Table) -> str:
    """What a table is of."""
    return label(table.metric) + (" where a modality is withheld" if table.withheld else "")


def listed(modalities: Sequence[str]) -> str:
    """Modalities in a sentence."""
    return " and ".join("images" if name == "image" else name for name in modalities)
