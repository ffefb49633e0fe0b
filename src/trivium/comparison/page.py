"""The page: the report's content in one HTML file that asks nothing of any network."""

import json
from typing import Any

from trivium.colours import LIGHT
from trivium.comparison.content import Report, Section
from trivium.comparison.figures import Figure
from trivium.comparison.palette import DARK, NAMES, darkened
from trivium.comparison.records import PARADIGMS
from trivium.comparison.tables import Table, beats, figure, fraction, label, percent


def render(report: Report) -> str:
    """The page as HTML; scripts, styles, pictures and figures are all inside it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    loader = PackageLoader("trivium.comparison", package_path="template")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "percent": percent,
        "figure": figure,
        "unbroken": lambda text: text.replace(" %", "\u00a0%"),
        "fraction": fraction, "label": label, "prefixed": prefixed,
        "script": lambda value: Markup(script(value)),
    }  # fmt: skip
    drawn = any(section.drawn for section in report.sections)
    return environment.get_template("page.html.j2").render(
        report=report,
        names=NAMES,
        light=LIGHT,
        dark=DARK,
        darkened=darkened(),
        single=any(len(one.seeds) == 1 and one.cell.objective != "raw" for one in report.scores),
        num_seeds=max(len(one.seeds) for one in report.scores),
        matrix=matrix,
        positions=positions,
        plotly=Markup(get_plotlyjs()) if drawn else "",
        include=lambda name: Markup(loader.get_source(environment, name)[0]),
    )


def script(value: Figure | dict[str, Any]) -> str:
    """JSON that cannot end the script element that holds it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def prefixed(value: float | None, unit: str = "") -> str:
    """A figure of three digits with an SI prefix; a dash if it is unknown."""
    if value is None:
        return "-"
    for power, prefix in ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power:
            return f"{value / 10**power:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".rstrip()


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


def positions(table: Table) -> list[tuple[float, float]]:
    """For each column the least and greatest bound: the scale of its drawn intervals."""
    found = []
    for index in range(len(table.columns)):
        entries = [entry for row in table.rows if (entry := row.entries[index])]
        bounds = [entry.bounds or (entry.mean, entry.mean) for entry in entries]
        low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
        found.append((low, max(high - low, 1e-9)))
    return found
