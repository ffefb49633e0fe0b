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
from trivium.report.tables import Entry, Row, grid, label, percent, points, tables

MEASURES = ("recall@1", "recall@5", "recall@10", "median_rank", "modality_gap")
"""Columns of the table."""
MAIN = "recall@5"
"""What is shown of each stratum."""
DURATION = "duration"
"""The control that knows only how long a sound and a text are."""


LINEAR = (
    "Ridge regression between the frozen {} features and the tf-idf of the texts, fitted on train, "
    "its penalty chosen on validation: no encoder needs to have seen a text. "
)


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
        return (MAIN,) * len(self.names)

    @property
    def heads(self) -> tuple[str, ...]:
        """The head of each column, for the eye."""
        return tuple(f"{MAIN}, {name}" for name in self.names)

    @property
    def last(self) -> tuple[str, ...]:
        """The row of chance, for the eye."""
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
        """A direction by its name, for the eye."""
        return f"{task}, linear" if self.read_from else task

    @property
    def heads(self) -> tuple[str, ...]:
        """The head of each column, for the eye."""
        return tuple(label(name) for name in self.columns)

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
    chance = {
        name: _mean(mine, name.replace("recall", "chance"))
        for name in columns
        if name.startswith("recall")
    }
    return Retrieval(
        columns,
        _rows(mine, columns, comparisons),
        _mean(mine, "num_candidates"),
        max(len(one.draws) for one in mine),
        chance,
        _strata(mine, resamplings),
        read_from(mine[0].cell),
    )


def read_from(cell: Cell) -> str:
    """The modality whose features a linear map reads; "" where towers meet in a joint space."""
    return "" if "+" in cell.modality else cell.modality


def markdown(found: Retrieval) -> str:
    """The tables in Markdown, with what is to be said of them."""
    parts = [grid(found.heads, found.rows, found.columns), found.note]
    if found.strata:
        table = grid(found.strata.heads, found.strata.rows, found.strata.metrics)
        parts.append(f"{table}\n| {' | '.join(found.strata.last)} |")
        if found.strata.sentences:
            parts.append("\n".join(f"- {sentence}" for sentence in found.strata.sentences))
    return "\n\n".join(parts)


def _rows(
    mine: Sequence[Scores], metrics: Sequence[str], comparisons: Sequence[Comparison]
) -> tuple[Row, ...]:
    """The rows of one table per metric side by side."""
    found: dict[tuple[str, str, str], dict[str, Entry | None]] = {}
    heads: dict[tuple[str, str, str], Row] = {}
    for table in tables([o for o in mine if o.cell.metric in metrics], comparisons):
        for row in table.rows:
            key = (row.paradigm, row.objective, row.encoder)
            heads.setdefault(key, row)
            found.setdefault(key, {})[table.metric] = _entry(row.entries[0])
    return tuple(
        row._replace(entries=tuple(found[key].get(name) for name in metrics))
        for key, row in heads.items()
    )


def _entry(entry: Entry | None) -> Entry | None:
    """As it is, but without an interval that the queries have no part in."""
    if entry is None or score_of(entry.scores.cell.metric):
        return entry
    interval = entry.scores.interval._replace(low=math.nan, high=math.nan)
    return entry._replace(scores=replace(entry.scores, interval=interval))


def _mean(mine: Sequence[Scores], metric: str) -> float:
    """The mean over methods of what is the same for all."""
    return fmean([o.interval.mean for o in mine if o.cell.metric == metric] or [math.nan])


def _strata(mine: Sequence[Scores], resamplings: Mapping[int, Resampling]) -> Strata | None:
    metrics = tuple(dict.fromkeys(o.cell.metric for o in mine if _stratum(o)))
    if not metrics:
        return None
    names = tuple(metric.partition("/")[2] for metric in metrics)
    chance = tuple(_mean(mine, f"chance@5/{name}") for name in names)
    pairs = _against_duration(mine, metrics)
    verdicts = holm(
        [o for pair in pairs if (o := paired(*pair, resamplings[pair[0].values.shape[2]]))]
    )
    told = zip(names, pairs, verdicts, chance, strict=True) if pairs else ()
    sentences = tuple(_sentence(name, *pair, one, share) for name, pair, one, share in told)
    return Strata(names, _rows(mine, metrics, ()), chance, tuple(verdicts), sentences)


def _against_duration(
    mine: Sequence[Scores], metrics: Sequence[str]
) -> list[tuple[Scores, Scores]]:
    """In each stratum, the method that is best over all strata, and the duration control."""
    trained = [o for o in mine if o.cell.metric == MAIN and o.cell.paradigm != "control"]
    controls = {o.cell.metric: o for o in mine if o.cell.objective == DURATION}
    if not trained or not all(name in controls for name in metrics):
        return []
    best = max(trained, key=lambda one: one.interval.mean).cell
    found = {o.cell.metric: o for o in mine if o.cell == best._replace(metric=o.cell.metric)}
    return [(found[name], controls[name]) for name in metrics]


def _stratum(one: Scores) -> bool:
    return one.cell.metric.startswith(f"{MAIN}/")


def _sentence(name: str, best: Scores, control: Scores, verdict: Comparison, chance: float) -> str:
    said = {
        "better": "is above",
        "worse": "is below",
        "not distinguishable": "is not distinguishable from",
    }
    return (
        f"{name}: {label(best.cell.objective)}, the best over all strata, reaches {written(best)} "
        f"and {said[verdict.verdict]} {label(DURATION)} ({percent(control.interval.mean)} %): "
        f"{points(verdict)}; chance {percent(chance)} %."
    )
