"""What the first page shows: the answers in one table, and one figure for each question."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from trivium.colours import INK, LIGHT, NAMES
from trivium.report import (
    confusion,
    crossover,
    curves,
    figures,
    joint,
    label_free,
    ranking,
    sensitivity,
)
from trivium.report.figures import Figure, Trace, label_points, panels, styled
from trivium.report.leaders import Answer
from trivium.report.sections import Report, Section
from trivium.report.sensitivity import shown
from trivium.report.tables import Estimate, Row, fraction, label

NOTE = (
    "What leads on the test items, in percent: accuracy of the linear probe (of another where "
    "there is none) by share of labels, or recall@5 of retrieval. Filled: it wins against every "
    "other way of learning; ≈ cannot be told from it; grey: no better than a control. Each row "
    "leads to its section."
)
RECALL = "recall@5"
COLUMNS = 4
"""Panels of one figure side by side."""
MOST_PANELS = 16
"""Panels of one figure; of more datasets the pages tell."""
BEST = "Of each paradigm the objective with the best validation accuracy"
TEXTS = {
    "standing": (
        ranking.QUESTION,
        "Mean ranks over the datasets; bars reach half of the critical difference to either side: "
        "where two do not meet, they differ.",
    ),
    "labels": (
        crossover.QUESTIONS[crossover.LABELS],
        f"{BEST}, and the untrained encoder (dashed): test accuracy in percent against the share "
        "of labels that the probe may use, with 95 % intervals.",
    ),
    "flops": (
        crossover.QUESTIONS[crossover.FLOPS],
        f"{BEST}: validation accuracy in percent of the online probe against training FLOPs, a "
        "line per seed.",
    ),
    "price": (
        "What does accuracy cost?",
        "Every objective: test accuracy in percent of the linear probe with the most labels "
        "against the seconds of its pretraining, mean over seeds.",
    ),
    "together": (
        joint.QUESTION,
        "Of each modality: the best encoder that was pretrained with others minus the best that "
        "was pretrained alone, in points of accuracy or recall@5 with 95 % intervals.",
    ),
    "confusion": (
        confusion.QUESTION,
        f"{BEST}: shares in percent of the test items of a class that are taken for another one. "
        "The two most confused pairs of each dataset.",
    ),
    "diagnosis": (
        label_free.QUESTION,
        "Spearman's rank correlation of each diagnostic with test accuracy over the encoders of a "
        "dataset, with 95 % intervals: at 0 it tells nothing.",
    ),
    "sensitivity": (
        sensitivity.QUESTION,
        "Kendall's tau of the ranking by another probe or layer with that by the linear probe, "
        "with 95 % intervals: 1 is the same ranking.",
    ),
}
"""The title of each question, and what its figure shows."""


class Line(NamedTuple):
    """One section: its number in the report, and an answer for each column that it has."""

    number: int
    section: Section
    answers: tuple[Answer | None, ...]


class SummaryTable(NamedTuple):
    """Columns are shares of labels and, of retrieval, recall@5."""

    columns: tuple[str, ...]
    datasets: dict[str, tuple[Line, ...]]


class Question(NamedTuple):
    """One question about all datasets: sentences and the figure that answers it."""

    name: str
    title: str
    text: str
    sentences: tuple[str, ...]
    figure: Figure


def summary_table(sections: Sequence[Section]) -> SummaryTable:
    """The answers of all sections."""
    answers = [(one, answer) for one in sections for answer in one.answers]
    shares = {answer.fraction for section, answer in answers if not section.retrieval}
    columns = [fraction(share) for share in sorted(shares)]
    if any(section.retrieval for section in sections):
        columns.append(RECALL)
    found: dict[str, tuple[Line, ...]] = {}
    for number, section in enumerate(sections, start=1):
        named = {
            RECALL if section.retrieval else fraction(one.fraction): one for one in section.answers
        }
        line = Line(number, section, tuple(named.get(name) for name in columns))
        found[section.dataset] = (*found.get(section.dataset, ()), line)
    return SummaryTable(tuple(columns), found)


def questions(report: Report) -> tuple[Question, ...]:
    """The questions that the report can answer, each with its figure."""
    classified = [one for one in report.sections if one.confusion and one.answers]
    homes = [one for one in classified if one.is_home][:MOST_PANELS]
    figure_of = {
        "standing": figures.standing(report.rankings),
        "labels": _labels(homes),
        "flops": _flops(homes),
        "price": _price(homes),
        "together": _together(report.sections),
        "confusion": _confused(classified[:MOST_PANELS]),
        "diagnosis": _foretold(report.sections),
        "sensitivity": _agreement(report.sections),
    }
    sentences = {"standing": tuple(one.sentence for one in report.rankings)}
    return tuple(
        Question(name, *TEXTS[name], sentences.get(name, ()), figure)
        for name, figure in figure_of.items()
        if figure
    )


def name_of(section: Section) -> str:
    """A section in a figure of all: the dataset, with the modality where there are several."""
    if not section.is_several:
        return label(section.dataset)
    return f"{label(section.dataset)}, {section.modality}"


def _paradigms(section: Section) -> dict[tuple[str, str], str]:
    """The objective and encoder that stand for each paradigm."""
    found = section.confusion.objectives if section.confusion else ()
    return {(one.objective, one.encoder): one.paradigm for one in found}


def _accuracies(section: Section) -> list[tuple[Row, list[tuple[float, Estimate]]]]:
    """Rows of the table of accuracy, with the shares of labels and entries of the main probe."""
    table = next(one for one in section.tables if one.metric == "accuracy" and not one.withheld)
    rows = [(row, label_points(table, row, section.answers[0].probe)) for row in table.rows]
    return [(row, points) for row, points in rows if points]


def _labels(sections: Sequence[Section]) -> Figure | None:
    traces: list[Trace] = []
    shares: list[float] = []
    for section in sections:
        chosen = _paradigms(section)
        for row, points in _accuracies(section):
            paradigm = chosen.get((row.objective, row.encoder))
            if paradigm or row.objective == "untrained":
                name = NAMES[paradigm] if paradigm else label(row.objective)
                x, entries = zip(*points, strict=True)
                shade = (LIGHT[row.paradigm][0], "circle")
                line = figures.estimates(x, entries, row, shade, "solid")
                traces.append((name_of(section), line | {"name": name}))
                shares += x
    ticks = sorted(set(shares))
    texts = [fraction(share) for share in ticks]
    return _multiples(traces, type="log", tickvals=ticks, ticktext=texts)


def _flops(sections: Sequence[Section]) -> Figure | None:
    traces = [
        (name_of(section), line | {"name": NAMES[paradigm]})
        for section in sections
        for (objective, encoder), paradigm in _paradigms(section).items()
        for line in curves.measured(
            [run for run in section.runs if run.facts[4:6] == (objective, encoder)],
            {(paradigm, objective): (LIGHT[paradigm][0], "circle")},
            curves.MONITOR,
        )
    ]
    return _multiples(traces, exponentformat="power", nticks=4)


def _price(sections: Sequence[Section]) -> Figure | None:
    traces: list[Trace] = []
    for section in sections:
        seconds = {(one["objective"], one["encoder"]): one["seconds"] for one in section.costs}
        for row, points in _accuracies(section):
            paid = seconds.get((row.objective, row.encoder))
            if paid is not None and row.paradigm != "control":
                point = {
                    "x": [paid], "y": [100 * points[-1][1].mean], "name": NAMES[row.paradigm],
                    "mode": "markers", "marker": {"color": LIGHT[row.paradigm][0], "size": 8},
                    "hovertemplate": f"{row.label}: %{{y:.1f}} %, %{{x:.1f}} s<extra></extra>",
                }  # fmt: skip
                traces.append((name_of(section), point))
    return _multiples(traces, rangemode="tozero", nticks=4)


def _multiples(traces: Sequence[Trace], **axis: Any) -> Figure | None:
    """A small panel of each dataset."""
    if not traces:
        return None
    figure = panels(traces, columns=COLUMNS, gap=0.32)
    figure.update_xaxes(**axis)
    num_panels = len({title for title, _ in traces})
    return styled(figure, height=110 + 190 * -(-num_panels // COLUMNS))


def _together(sections: Sequence[Section]) -> Figure | None:
    traces = [
        _dot(
            one.column,
            f"{label(block.dataset)}, {block.task}: {one.modality}",
            100 * one.comparison.difference,
            (100 * one.comparison.low, 100 * one.comparison.high),
            LIGHT[one.tower.cell.paradigm][0],
            NAMES[one.tower.cell.paradigm],
        )
        for section in sections
        for block in section.together
        for one in block.pairings
        if one.paradigm == joint.ANY
    ]
    return _dots(traces, "points gained by learning together")


def _confused(sections: Sequence[Section]) -> Figure | None:
    traces = [
        _dot(
            "",
            f"{name_of(section)}: {pair.true} for {pair.taken}",
            100 * share,
            None,
            LIGHT[one.paradigm][0],
            NAMES[one.paradigm],
        )
        for section in sections
        if section.confusion
        for pair in section.confusion.pairs[:2]
        for one, share in zip(section.confusion.objectives, pair.shares, strict=True)
    ]
    return _dots(traces, "share of the class's test items (%)")


def _foretold(sections: Sequence[Section]) -> Figure | None:
    traces = [
        _dot(name_of(section), label(one.metric), one.rho, (one.low, one.high), INK[0], None)
        for section in sections
        if section.diagnosis
        for one in section.diagnosis.foretold
    ]
    return _dots(traces, "rho")


def _agreement(sections: Sequence[Section]) -> Figure | None:
    traces = [
        _dot(
            name_of(section),
            shown(one.name),
            one.tau,
            (one.low, one.high),
            INK[0],
            None,
        )
        for section in sections
        if section.sensitivity
        for one in section.sensitivity.agreements
    ]
    return _dots(traces, "tau")


def _dot(
    panel: str,
    row: str,
    value: float,
    bounds: tuple[float, float] | None,
    colour: str,
    name: str | None,
) -> Trace:
    """A value with its interval in the row of a panel."""
    low, high = bounds or (value, value)
    dot = {
        "x": [value], "y": [row], "mode": "markers", "marker": {"color": colour, "size": 9},
        "error_x": {
            "type": "data", "symmetric": False, "array": [high - value],
            "arrayminus": [value - low], "color": colour, "thickness": 1.6, "width": 4,
        },
        "hovertemplate": f"{name or row}: %{{x:.2f}}<extra></extra>",
    }  # fmt: skip
    return panel, dot | ({"name": name} if name else {})


def _dots(traces: Sequence[Trace], title: str) -> Figure | None:
    if not traces:
        return None
    names = list(dict.fromkeys(trace["y"][0] for _, trace in traces))
    figure = panels(traces, columns=COLUMNS, shared_y=True, spacing=0.02, gap=0.2)
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    figure.update_xaxes(nticks=4)
    figure.update_xaxes(title=title, col=1)
    num_panels = len({panel for panel, _ in traces})
    return styled(figure, height=80 + (50 + 24 * len(names)) * -(-num_panels // COLUMNS))
