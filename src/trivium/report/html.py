"""The pages of the report: an overview, and one page for each dataset, which need no network."""

import re
from collections.abc import Sequence
from typing import Any

from trivium.colours import DARK, LIGHT, NAMES, darkened
from trivium.report import (
    animation,
    confusion,
    crossover,
    figures,
    joint,
    label_free,
    media,
    overview,
    provenance,
    ranking,
    sensitivity,
    tables,
)
from trivium.report.cells import Cell
from trivium.report.figures import Figure, compact
from trivium.report.records import PARADIGMS, SEEDLESS
from trivium.report.sections import Report, Section

INDEX = "index.html"
PLOTLY = "plotly.min.js"
"""What draws the figures of all pages, beside them."""


def pages(report: Report) -> dict[str, str]:
    """The files of the report's pages by name, with the script that they share.

    Styles, other scripts, pictures, sounds and the figures' data are inside each page.
    """
    made = environment(report.provenances)
    made.filters["page"] = _names(report.sections).__getitem__
    numbered = list(enumerate(report.sections, start=1))
    seeded = [one for one in report.scores if one.cell.objective not in SEEDLESS]
    shared = {
        "report": report,
        "summary": overview.summary_table(report.sections),
        "single": any(len(one.seeds) == 1 for one in seeded),
        "num_seeds": max(len(one.seeds) for one in report.scores),
    }
    questions = overview.questions(report)
    found = {
        PLOTLY: plotly(),
        INDEX: made.get_template("index.html.j2").render(
            **paint({one.name: one.figure for one in questions}),
            **shared,
            title="Trivium: which way of learning is worth its price?",
            questions=questions,
        ),
    }
    for dataset, name in _names(report.sections).items():
        mine = [(number, one) for number, one in numbered if one.dataset == dataset]
        drawn = {
            f"{number}-{name}": figure
            for number, section in mine
            for name, figure in section.drawn.items()
        }
        found[name] = made.get_template("dataset.html.j2").render(
            **paint(drawn), **shared, title=f"Trivium: {dataset}", dataset=dataset, sections=mine
        )
    return found


def environment(known: dict[provenance.Way, tuple[provenance.Provenance, ...]]) -> Any:
    """What renders the templates; `known` are the runs behind each row of a table."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    loader = PackageLoader("trivium.report", package_path="template")
    made = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    shown = ("percent", "figure", "fraction", "label", "heading", "points")
    modules = (
        animation, confusion, crossover, joint, label_free, media, overview, provenance, ranking,
        sensitivity,
    )  # fmt: skip
    helpers = (encoder_of, figures.classes, matrix, sample_name, scales, tables.share)
    made.filters |= {name: getattr(tables, name) for name in shown} | {
        "prefixed": tables.with_prefix,
        "runs_behind": lambda row: provenance.behind(row, known),
        "named": joint.named,
        "paradigm": joint.paradigm,
        "unbroken": lambda text: text.replace(" %", "\u00a0%"),
        "script": lambda value: Markup(script(value)),
    }
    made.globals |= {module.__name__.rpartition(".")[2]: module for module in modules}
    made.globals |= {function.__name__: function for function in helpers}
    made.globals |= {
        "include": lambda name: Markup(loader.get_source(made, name)[0]),
        "names": NAMES,
        "plotly": PLOTLY,
        "index": INDEX,
    }
    return made


def paint(figures: dict[str, Figure]) -> dict[str, Any]:
    """What the head and the foot of a page need: colours and the page's figures."""
    return {"light": LIGHT, "dark": DARK, "darkened": darkened(), "figures": figures}


def plotly() -> str:
    """The script that draws figures."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def script(value: Any) -> str:
    """JSON that cannot end the script element that holds it."""
    return compact(value).replace("<", "\\u003c").replace("&", "\\u0026")


def matrix(section: Section, probe: str, share: float) -> list[tuple[Cell, list[Any]]]:
    """All paired differences of one column: of each cell that with each, in points."""
    pairs = {
        (one.first, one.second): one
        for one in section.comparisons
        if (one.first.probe, one.first.fraction) == (probe, share)
    }
    cells = list(dict.fromkeys(cell for pair in pairs for cell in pair))
    cells.sort(key=lambda cell: (PARADIGMS.index(cell.paradigm), cell.objective, cell.encoder))
    return [(a, [None if a == b else tables.beats(a, b, pairs) for b in cells]) for a in cells]


def encoder_of(section: Section, cell: Cell) -> str:
    """The encoder, where a dataset of several modalities has several of one objective."""
    same = {
        side.encoder
        for one in section.comparisons
        for side in (one.first, one.second)
        if side.objective == cell.objective
    }
    return f" · {cell.encoder}" if section.is_several and len(same) > 1 else ""


def sample_name(name: str) -> str:
    """What samples are called; rows of one of several modalities name it."""
    first, _, modality = name.partition("_")
    if first == "rows" and modality:
        return f"{modality} rows"
    return tables.label(name.replace("-", " "))


def scales(rows: Sequence[tables.Row]) -> list[tuple[float, float]]:
    """For each column the least bound and the span: the scale of its drawn intervals."""
    found = []
    for column in zip(*(row.entries for row in rows), strict=True):
        bounds = [entry.bounds or (entry.mean, entry.mean) for entry in column if entry]
        low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
        found.append((low, max(high - low, 1e-9)))
    return found


def _names(sections: Sequence[Section]) -> dict[str, str]:
    """The page of each dataset, named after it; a number sets apart what would be the same."""
    found: dict[str, str] = {}
    for dataset in dict.fromkeys(section.dataset for section in sections):
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", dataset)
        taken = {INDEX, *found.values()}
        names = [f"{stem}.html", *(f"{stem}-{number}.html" for number in range(2, len(taken) + 2))]
        found[dataset] = next(name for name in names if name not in taken)
    return found
