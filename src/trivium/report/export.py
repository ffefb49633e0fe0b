"""The tables and figures of the report for a paper: CSV, LaTeX and Plotly JSON."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from trivium.report.figures import compact, standing
from trivium.report.scores import MAIN
from trivium.report.sections import Report, Section
from trivium.report.tables import LEGEND, STUB, Gridded, heading, texts

FIELDS = (
    "dataset", "task", "modality", "paradigm", "objective", "encoder", "probe", "metric",
    "fraction", "mean", "low", "high", "num_seeds",
)  # fmt: skip
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
    table: Gridded
    last: Sequence[str] = ()


def for_paper(report: Report) -> dict[str, str]:
    """Texts by their paths in the report's folder.

    `tables/NAME.csv` and `tables/NAME.tex` of each table of cells, `figures/NAME.json` of each
    figure. NAME is made of dataset, task, modality and what is shown, and of [a-z0-9_-] alone;
    names that would be the same are numbered from 2 on.
    """
    files: dict[str, str] = {}
    taken: set[str] = set()
    for section in report.sections:
        for one in grids(section):
            name = _free(f"tables/{one.name}", taken)
            files |= {f"{name}.csv": as_csv(one.table), f"{name}.tex": as_latex(one)}
    for section, names in zip(report.sections, figure_names(report), strict=True):
        files |= {f"figures/{names[one]}.json": compact(of) for one, of in section.drawn.items()}
    if overall := standing(report.rankings):
        files["figures/standing.json"] = compact(overall)
    return files


def figure_names(report: Report) -> list[dict[str, str]]:
    """Of each section the names of its figures' files, by what they show."""
    taken: set[str] = set()
    found = []
    for section in report.sections:
        names = {shown: _free(_name(section, shown), taken) for shown in section.drawn}
        found.append(names)
    return found


def grids(section: Section) -> list[Grid]:
    """The tables of one section, in the order of the report."""
    found = []
    for table in section.tables:
        name = _name(section, f"{table.metric}-withheld" if table.withheld else table.metric)
        found.append(Grid(name, _title(section, f"{heading(table)}."), table))
    if one := section.retrieval:
        name, title = _name(section, "retrieval"), _title(section, f"retrieval. {one.note}")
        found.append(Grid(name, title, one))
        if strata := one.strata:
            title = _title(section, "retrieval within each stratum.")
            found.append(Grid(f"{name}-strata", title, strata, strata.last))
    return found


def as_csv(table: Gridded) -> str:
    """One line per measured cell; numbers have all their digits."""
    rows = [
        entry.scores.row() | {TOLD: entry.leads if entry.scores.cell.metric in MAIN else None}
        for row in table.rows
        for entry in row.entries
        if entry
    ]
    frame = pd.DataFrame(rows, columns=[*FIELDS, TOLD], dtype=object)
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text


def as_latex(found: Grid) -> str:
    r"""A `tabular` with the rules of booktabs, for `\input` in a float of the paper's own."""
    heads = [*STUB, *found.table.heads]
    lines = [
        f"% {found.title} Shares in percent.",
        f"% {LEGEND}",
        r"% Needs \usepackage{booktabs}.",
        rf"\begin{{tabular}}{{llr{'l' * len(found.table.heads)}}}",
        r"\toprule",
        _line(map(escaped, heads)),
        r"\midrule",
    ]
    num = len(STUB)
    rows = texts(found.table, r"\textbf{{{}}}")
    lines += [_line([*map(escaped, row[:num]), *row[num:]]) for row in rows]
    if found.last:
        lines += [r"\midrule", _line(map(escaped, found.last))]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def escaped(text: str) -> str:
    """The text as LaTeX prints it, character by character."""
    return text.translate(ESCAPES)


def _line(row: Iterable[str]) -> str:
    return " & ".join(row) + r" \\"


def _title(section: Section, what: str) -> str:
    """On one line whatever the names hold: it stands in a comment of LaTeX."""
    title = f"{section.dataset}, {section.task} ({section.modality}): {what}"
    return " ".join(title.split())


def _name(section: Section, what: str) -> str:
    parts = (section.dataset, section.task, section.modality, what)
    return "-".join(re.sub(r"[^a-z0-9_-]+", "_", part.lower()) for part in parts)


def _free(name: str, taken: set[str]) -> str:
    """The name, with a number if it is taken already; it is taken from then on."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found
