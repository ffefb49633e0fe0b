"""The page: the report's content in one HTML file that asks nothing of any network."""

from collections.abc import Sequence
from typing import Any

from trivium.colours import DARK, LIGHT, NAMES, darkened
from trivium.report import (
    animation,
    confusion,
    crossover,
    joint,
    label_free,
    media,
    provenance,
    ranking,
    sensitivity,
    summary_table,
)
from trivium.report import figures as plots
from trivium.report.cells import Cell
from trivium.report.figures import Figure, compact
from trivium.report.records import PARADIGMS, SEEDLESS
from trivium.report.sections import Report, Section
from trivium.report.tables import (
    Row,
    beats,
    figure,
    fraction,
    heading,
    label,
    percent,
    points,
    share,
    with_prefix,
)


def environment() -> Any:
    """What renders the templates: their filters, and `include` for a file as it is."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    loader = PackageLoader("trivium.report", package_path="template")
    made = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {
        "percent": percent,
        "figure": figure,
        "unbroken": lambda text: text.replace(" %", "\u00a0%"),
        "fraction": fraction, "label": label, "prefixed": with_prefix, "heading": heading,
        "named": joint.named, "points": points, "paradigm": joint.paradigm,
        "drawn_name": drawn_name,
        "script": lambda value: Markup(script(value)),
    }  # fmt: skip
    made.globals["include"] = lambda name: Markup(loader.get_source(made, name)[0])
    return made


def render(report: Report) -> str:
    """The page as HTML; scripts, styles, pictures and figures are all inside it."""
    figures = {
        f"{number}-{name}": figure
        for number, section in enumerate(report.sections, start=1)
        for name, figure in section.drawn.items()
    }
    if overall := plots.standing(report.rankings):
        figures["0-standing"] = overall
    seeded = [one for one in report.scores if one.cell.objective not in SEEDLESS]
    made = environment()
    made.filters["behind"] = lambda row: provenance.behind(row, report.provenances)
    return str(made.get_template("page.html.j2").render(
        **paint(figures),
        title="Trivium: which way of learning is worth its price?",
        report=report,
        names=NAMES,
        single=any(len(one.seeds) == 1 for one in seeded),
        num_seeds=max(len(one.seeds) for one in report.scores),
        matrix=matrix,
        shown_share=share,
        encoder_of=encoder_of,
        question=joint.QUESTION,
        confusion=confusion,
        diagnosis=label_free,
        examples=media,
        glance=summary_table,
        overview=summary_table.summary_table(report.sections),
        origins=provenance,
        overtaking=crossover,
        sensitivity=sensitivity,
        opening=animation,
        standing=ranking,
        positions=positions,
    ))  # fmt: skip


def paint(figures: dict[str, Figure]) -> dict[str, Any]:
    """What the head and the foot of a page need: colours, its figures, and what draws them."""
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    plotly = Markup(get_plotlyjs()) if figures else ""
    return {
        "light": LIGHT, "dark": DARK, "darkened": darkened(), "figures": figures, "plotly": plotly,
    }  # fmt: skip


def script(value: Any) -> str:
    """JSON that cannot end the script element that holds it."""
    return compact(value).replace("<", "\\u003c").replace("&", "\\u0026")


def matrix(section: Section, probe: str, share: float) -> dict[str, Any]:
    """All paired differences of one column: rows minus columns, in points, with verdicts."""
    pairs = {
        (one.first, one.second): one
        for one in section.comparisons
        if (one.first.probe, one.first.fraction) == (probe, share)
    }
    cells = list(dict.fromkeys(cell for pair in pairs for cell in pair))
    cells.sort(key=lambda cell: (PARADIGMS.index(cell.paradigm), cell.objective, cell.encoder))
    return {
        "cells": cells,
        "rows": [[None if a == b else beats(a, b, pairs) for b in cells] for a in cells],
    }


def encoder_of(section: Section, cell: Cell) -> str:
    """What sets apart two rows of one objective, in a dataset of several modalities."""
    same = {
        side.encoder
        for one in section.comparisons
        for side in (one.first, one.second)
        if side.objective == cell.objective
    }
    return f" · {cell.encoder}" if section.is_several and len(same) > 1 else ""


def drawn_name(name: str) -> str:
    """The name of a picture or sheet for the eye; rows of one of several modalities name it."""
    first, _, modality = name.partition("_")
    if first == "rows" and modality:
        return f"{modality} rows"
    return label(name.replace("-", " "))


def positions(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """For each column the least and greatest bound: the scale of its drawn intervals."""
    found = []
    for index in range(len(rows[0].entries)):
        entries = [entry for row in rows if (entry := row.entries[index])]
        bounds = [entry.bounds or (entry.mean, entry.mean) for entry in entries]
        low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
        found.append((low, max(high - low, 1e-9)))
    return found
