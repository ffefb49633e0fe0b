"""What retrieval in one direction found: a table, chance beside it, and each stratum by itself."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

from trivium.report.bootstrap import Resampling
from trivium.report.cells import Cell, Scores
from trivium.report.leaders import written
from trivium.report.pairwise import Comparison, holm, paired
from trivium.report.scores import RETRIEVAL, score_of
from trivium.report.tables import Estimate, Row, RowKey, label, percent, points, rows_of, tables

MEASURES = ("recall@1", "recall@5", "recall@10", "median_rank", "modality_gap")
"""Columns of the table."""
WITHIN = "recall@5"
"""What is shown of each stratum."""
DURATION = "duration"
"""The control that knows only how long a sound and a text are."""
LINEAR = (
    "Ridge regression between the frozen {} features and the tf-idf of the texts, fitted on train, "
    "its penalty chosen on validation: no encoder needs to have seen a text. "
)
VERDICTS = {
    "better": "is above",
    "worse": "is below",
    "not distinguishable": "is not distinguishable from",
}


class Strata(NamedTuple):
    """Recall@5 within each stratum (language): rows are methods, and chance of each.

    `verdicts` compare what was trained and is best over all strata with the duration control, one
    per stratum, Holm-corrected over the strata; none if there is no such control.
    """

    names: tuple[str, ...]
    rows: tuple[Row, ...]
    chance: tuple[float, ...]
    verdicts: tuple[Comparison, ...]
    sentences: tuple[str, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric of each column."""
        return (WITHIN,) * len(self.names)

    @property
    def heads(self) -> tuple[str, ...]:
        """The title of each column."""
        return tuple(f"{WITHIN}, {name}" for name in self.names)

    @property
    def last(self) -> tuple[str, ...]:
        """The row of chance, as texts."""
        return ("-", "chance", "-", *map(percent, self.chance))


class Retrieval(NamedTuple):
    """One direction: `columns` are metrics; `chance` is of recall, by metric.

    `num_draws` are those of one item of each group; `read_from` is the modality whose features a
    linear map reads, "" where towers meet in a joint space.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    num_candidates: float
    num_draws: int
    chance: dict[str, float]
    strata: Strata | None
    read_from: str = ""

    def called(self, task: str) -> str:
        """The title of the direction."""
        return f"{task}, linear" if self.read_from else task

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric of each column."""
        return self.columns

    @property
    def heads(self) -> tuple[str, ...]:
        """The title of each column."""
        return tuple(map(label, self.columns))

    @property
    def note(self) -> str:
        """How many candidates there are, in how many draws, and what chance would find."""
        own = " of its own stratum" if self.strata else ""
        if self.num_draws > 1:
            own += f" (mean of {self.num_draws} draws of one item of each group)"
        found = ", ".join(f"{percent(value)} % ({name})" for name, value in self.chance.items())
        how = LINEAR.format(self.read_from) if self.read_from else ""
        return (
            f"{how}Each query is compared with {self.num_candidates:.4g} candidates{own}; chance "
            f"finds {found}."
        )


def retrieved(
    scores: Sequence[Scores],
    comparisons: Sequence[Comparison],
    resamplings: Mapping[int, Resampling],
) -> Retrieval | None:
    """The retrieval among the scores of one dataset, task and modality; None if there is none."""
    mine = [o for o in scores if o.cell.probe == RETRIEVAL and o.cell.split == "test"]
    columns = tuple(name for name in MEASURES if any(o.cell.metric == name for o in mine))
    if not columns:
        return None
    recalls = [name for name in columns if name.startswith("recall")]
    return Retrieval(
        columns,
        _rows(mine, columns, comparisons),
        _mean(mine, "num_candidates"),
        max(len(one.draws) for one in mine),
        {name: _mean(mine, name.replace("recall", "chance")) for name in recalls},
        _strata(mine, resamplings),
        read_from(mine[0].cell),
    )


def read_from(cell: Cell) -> str:
    """The modality whose features a linear map reads; "" where towers meet in a joint space."""
    return "" if "+" in cell.modality else cell.modality


def _rows(
    mine: Sequence[Scores], metrics: Sequence[str], comparisons: Sequence[Comparison]
) -> tuple[Row, ...]:
    """The rows of one table per metric side by side."""
    shown = [one for one in mine if one.cell.metric in metrics]
    columns: dict[str, dict[RowKey, Estimate]] = {}
    for table in tables(shown, comparisons):
        entries = {row.way: row.entries[0] for row in table.rows}
        columns[table.metric] = {way: _entry(one) for way, one in entries.items() if one}
    return rows_of([columns[name] for name in metrics], shown)


def _entry(entry: Estimate) -> Estimate:
    """As it is, but without an interval that the queries have no part in."""
    if score_of(entry.scores.cell.metric):
        return entry
    interval = entry.scores.interval._replace(low=math.nan, high=math.nan)
    return entry._replace(scores=replace(entry.scores, interval=interval))


def _mean(mine: Sequence[Scores], metric: str) -> float:
    """The mean over methods of what is the same for all."""
    return fmean([o.interval.mean for o in mine if o.cell.metric == metric] or [math.nan])


def _strata(mine: Sequence[Scores], resamplings: Mapping[int, Resampling]) -> Strata | None:
    metrics = tuple(dict.fromkeys(m for o in mine if (m := o.cell.metric).startswith(f"{WITHIN}/")))
    if not metrics:
        return None
    names = tuple(metric.partition("/")[2] for metric in metrics)
    chance = tuple(_mean(mine, f"chance@5/{name}") for name in names)
    pairs = _against_duration(mine, metrics)
    verdicts = holm(
        [o for pair in pairs if (o := paired(*pair, resamplings[pair[0].values.shape[2]]))]
    )
    sentences = tuple(
        f"{name}: {label(best.cell.objective)}, the best over all strata, reaches {written(best)} "
        f"and {VERDICTS[verdict.verdict]} {label(DURATION)} ({percent(control.interval.mean)} %): "
        f"{points(verdict)}; chance {percent(random)} %."
        for name, (best, control), verdict, random in zip(
            names, pairs, verdicts, chance, strict=False
        )
    )
    return Strata(names, _rows(mine, metrics, ()), chance, tuple(verdicts), sentences)


def _against_duration(
    mine: Sequence[Scores], metrics: Sequence[str]
) -> list[tuple[Scores, Scores]]:
    """In each stratum, the method that is best over all strata, and the duration control."""
    trained = [o for o in mine if o.cell.metric == WITHIN and o.cell.paradigm != "control"]
    controls = {o.cell.metric: o for o in mine if o.cell.objective == DURATION}
    if not trained or not all(name in controls for name in metrics):
        return []
    best = max(trained, key=lambda one: one.interval.mean).cell
    found = {o.cell.metric: o for o in mine if o.cell == best._replace(metric=o.cell.metric)}
    return [(found[name], controls[name]) for name in metrics]
