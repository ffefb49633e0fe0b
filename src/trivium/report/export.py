"""The tables and figures of the report as a paper takes them in: CSV, LaTeX and Plotly JSON.

`printing` draws the figures as SVG and PNG beside their JSON.
"""

import csv
import io
import re
from collections.abc import Sequence
from typing import NamedTuple

from trivium.report.figures import compact, standing
from trivium.report.scores import MAIN
from trivium.report.sections import Report, Section
from trivium.report.tables import LEGEND, STUB, Entry, Row, filled, heading, stub

FIELDS = (
    "dataset",
    "task",
    "modality",
    "paradigm",
    "objective",
    "encoder",
    "probe",
    "metric",
    "fraction",
    "mean",
    "low",
    "high",
    "num_seeds",
)
"""Columns of a CSV file, as `comparison.json` names them; shares are between 0 and 1."""
TOLD = "best_or_tied"
"""The last column: what is bold in the LaTeX; empty where the metric is not compared."""
ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    }
)
"""The characters that mean something to LaTeX, and how it prints them."""


class Grid(NamedTuple):
    """A table of any kind: its file's name, what it is of, and what it holds.

    `last` is a row of texts below the measured ones, of chance; empty if there is none.
    """

    name: str
    title: str
    heads: Sequence[str]
    rows: Sequence[Row]
    metrics: Sequence[str]
    last: Sequence[str] = ()


def for_paper(report: Report) -> dict[str, str]:
    """Texts by their paths in the report's folder.

    `tables/NAME.csv` and `tables/NAME.tex` of each table of cells, `figures/NAME.json` of each
    figure, from which `printing` makes pictures. NAME is made of dataset, task, modality and what
    is shown, and of [a-z0-9_-] alone; names that would be the same are numbered from 2 on.
    """
    files: dict[str, str] = {}
    for section in report.sections:
        for one in grids(section):
            name = _free(f"tables/{one.name}", ".csv", files)
            files |= {f"{name}.csv": as_csv(one), f"{name}.tex": as_latex(one)}
        for shown, figure in section.drawn.items():
            name = _free(f"figures/{_name(section, shown)}", ".json", files)
            files[f"{name}.json"] = compact(figure)
    if overall := standing(report.rankings):
        files["figures/standing.json"] = compact(overall)
    return files


def grids(section: Section) -> list[Grid]:
    """The tables of one section, in the order of the report."""
    found = []
    for table in section.tables:
        name = _name(section, f"{table.metric}-withheld" if table.withheld else table.metric)
        title = _title(section, f"{heading(table)}.")
        found.append(Grid(name, title, table.heads, table.rows, table.metrics))
    if one := section.retrieval:
        name, title = _name(section, "retrieval"), _title(section, f"retrieval. {one.note}")
        found.append(Grid(name, title, one.heads, one.rows, one.columns))
        if strata := one.strata:
            title = _title(section, "retrieval within each stratum.")
            rest = (strata.heads, strata.rows, strata.metrics, strata.last)
            found.append(Grid(f"{name}-strata", title, *rest))
    return found


def as_csv(found: Grid) -> str:
    """One line per measured cell; numbers have all their digits."""
    text = io.StringIO()
    lines = csv.DictWriter(text, (*FIELDS, TOLD), extrasaction="ignore", lineterminator="\n")
    lines.writeheader()
    entries = [entry for row in found.rows for entry in row.entries if entry]
    lines.writerows(one.scores.row() | {TOLD: _told(one)} for one in entries)
    return text.getvalue()


def as_latex(found: Grid) -> str:
    r"""A `tabular` with the rules of booktabs, for `\input` in a float of the paper's own."""
    lines = [
        f"% {found.title} Shares in percent.",
        f"% {LEGEND}",
        r"% Needs \usepackage{booktabs}.",
        rf"\begin{{tabular}}{{llr{'l' * len(found.heads)}}}",
        r"\toprule",
        _line([escaped(head) for head in (*STUB, *found.heads)]),
        r"\midrule",
    ]
    for row in found.rows:
        texts = filled(row, found.metrics, r"\textbf{{{}}}")
        lines.append(_line([*map(escaped, stub(row)), *texts]))
    if found.last:
        lines += [r"\midrule", _line([escaped(text) for text in found.last])]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def escaped(text: str) -> str:
    """The text as LaTeX prints it, character by character."""
    return text.translate(ESCAPES)


def _line(texts: Sequence[str]) -> str:
    return " & ".join(texts) + r" \\"


def _told(entry: Entry) -> bool | None:
    return entry.leads if entry.scores.cell.metric in MAIN else None


def _title(section: Section, what: str) -> str:
    """On one line whatever the names hold: it stands in a comment of LaTeX."""
    title = f"{section.dataset}, {section.task} ({section.modality}): {what}"
    return " ".join(title.split())


def _name(section: Section, what: str) -> str:
    parts = (section.dataset, section.task, section.modality, what)
    return "-".join(re.sub(r"[^a-z0-9_-]+", "_", part.lower()) for part in parts)


def _free(name: str, suffix: str, taken: dict[str, str]) -> str:
    """The name, with a number if a file has it already."""
    found, number = name, 1
    while found + suffix in taken:
        number += 1
        found = f"{name}-{number}"
    return found
