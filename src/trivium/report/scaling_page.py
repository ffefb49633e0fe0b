"""The page of a ladder: how the error of each way of learning falls as its work grows."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trivium.colours import NAMES, Shades, shades
from trivium.io import write_text
from trivium.report import figures
from trivium.report import scaling_text as words
from trivium.report.figures import Figure
from trivium.report.html import PLOTLY, environment, paint, plotly
from trivium.report.records import Entry, read_entries
from trivium.report.runs import read_runs
from trivium.report.scaling import FEWEST_FLOORED, Fit, Scaling, scalings
from trivium.report.tables import label


class Part(NamedTuple):
    """One axis of one ladder and the names of its figures."""

    ladder: Scaling
    climb: words.Climb
    errors: str
    losses: str


def write_ladder(entries: Sequence[Entry], folder: Path, *, commit: str) -> None:
    """Fit what a ladder's probe and run folders hold and write its page.

    Args:
        entries: every way of learning on every rung, the rung as its variant.
        folder: where `index.html`, `scaling.json` and `scaling.md` go.
        commit: the code's version, shown on the page.

    Raises:
        ValueError: if a folder is missing or broken, or nothing grows; see `ladders`.
    """
    measured = read_entries(entries)
    found = scalings(measured, read_runs(measured))
    document = {
        "protocol": measured[0].protocol,
        "commit": commit,
        "fits": [{"dataset": one.dataset, **words.row(fit)} for one in found for fit in one.fits],
        "contests": [
            {"dataset": one.dataset, **words.contest_row(contest)}
            for one in found
            for contest in one.contests
        ],
    }
    write_text(folder / "scaling.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
    text = [f"## {one.dataset}: {one.task}\n\n{words.markdown(one)}" for one in found]
    write_text(folder / "scaling.md", f"# {words.QUESTION}\n\n" + "\n".join(text))
    write_text(folder / PLOTLY, plotly())
    write_text(folder / "index.html", render(found, protocol=measured[0].protocol, commit=commit))


def render(found: Sequence[Scaling], *, protocol: str, commit: str) -> str:
    """The page as HTML, whose figures the script beside it draws."""
    colours = shades((way.paradigm, way.objective) for one in found for way in one.ways)
    parts, drawn = [], {}
    for ladder in found:
        for climb in words.climbs(ladder):
            name = f"{ladder.dataset}-{climb.axis.name}"
            part = Part(ladder, climb, f"{name}-errors", f"{name}-losses")
            errors = [fit for fit in climb.fits if fit.measure.is_error]
            losses = [fit for fit in climb.fits if not fit.measure.is_error]
            titles = dict.fromkeys(fit.measure.name for fit in errors)
            drawn[part.errors] = panels([
                (title, [fit for fit in errors if fit.measure.name == title]) for title in titles
            ], colours, scale=100, unit="test error (%)")  # fmt: skip
            if losses:
                drawn[part.losses] = panels(
                    [(label(fit.way.objective), [fit]) for fit in losses], colours,
                    scale=1, unit="validation loss",
                )  # fmt: skip
            parts.append(part)
    ways = {(way.paradigm, way.objective) for one in found for way in one.ways}
    seeds = [len(v) for o in found for w in o.ways for r in w.rungs for v in r.values.values()]
    page = environment({}).get_template("ladder.html.j2").render(
        **paint(drawn),
        title="Trivium: what does more of it buy?",
        question=words.QUESTION,
        parts=parts,
        words=words,
        names=NAMES,
        ways=sorted(ways),
        num_seeds=max(seeds),
        fewest=FEWEST_FLOORED,
        protocol=protocol,
        commit=commit,
    )  # fmt: skip
    return str(page)


def panels(
    found: Sequence[tuple[str, Sequence[Fit]]], colours: Shades, *, scale: float, unit: str
) -> Figure:
    """Measures over a size, both axes logarithmic: rungs, the fitted law and its band.

    Panels side by side, each with a title and fits; of errors all share one scale.
    """
    shared = scale != 1
    traces = [
        (title, trace)
        for title, fits in found
        for fit in fits
        for trace in _traces(fit, colours, scale, in_legend=shared)
    ]
    spacing = 0.04 if shared else 0.08
    figure = figures.panels(traces, columns=len(found), shared_y=shared, spacing=spacing)
    figure.update_xaxes(
        type="log", title=found[0][1][0].axis.words, dtick=1, exponentformat="power",
        minor={"ticks": "outside", "dtick": "D1"}, showexponent="all",
    )  # fmt: skip
    for column, (_, fits) in enumerate(found, start=1):
        drawn = [fit for _, those in found for fit in those] if shared else fits
        points = [point for fit in drawn for point in fit.points]
        low = min(p.low if p.low > 0 else p.mean for p in points)
        high = max(p.mean if math.isnan(p.high) else p.high for p in points)
        figure.update_yaxes(type="log", tickvals=ticks(scale * low, scale * high), col=column)
    figure.update_yaxes(title=unit, col=1)
    made = figures.styled(figure, height=440 if shared else 320)
    made["layout"]["legend"]["y"] = -0.24
    return made


def ticks(low: float, high: float) -> list[float]:
    """Round values for a logarithmic axis: evenly apart within a decade, else 1, 2 and 5."""
    from matplotlib.ticker import MaxNLocator

    low, high = low / 1.1, high * 1.1
    if high / low > 10:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        return [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    values = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [round(float(value), 12) for value in values]


def _traces(fit: Fit, colours: Shades, scale: float, *, in_legend: bool) -> list[dict[str, Any]]:
    """The band, the line and, last, the rungs of one fit."""
    colour, symbol = colours[fit.way.paradigm, fit.way.objective]
    name = label(fit.way.objective)
    found: list[dict[str, Any]] = []
    if fit.band is not None:
        x, mean, low, high = fit.band.x, *(scale * of for of in fit.band[1:])
        line = {"mode": "lines", "legendgroup": name, "hoverinfo": "skip"}
        found.append({
            **line, "x": [*x, *x[::-1]], "y": [*low, *high[::-1]], "fill": "toself",
            "line": {"width": 0}, "fillcolor": colour, "opacity": 0.16,
        })  # fmt: skip
        found.append({**line, "x": [*x], "y": [*mean], "line": {"color": colour, "width": 2}})
    bars = [(p.mean - p.low, p.high - p.mean) if p.low == p.low else (0, 0) for p in fit.points]
    rungs = {
        "x": [p.x for p in fit.points], "y": [scale * p.mean for p in fit.points], "name": name,
        "mode": "markers", "marker": {"color": colour, "symbol": symbol, "size": 8},
        "error_y": {
            "type": "data", "symmetric": False, "thickness": 1.4, "width": 4, "color": colour,
            "array": [scale * high for _, high in bars],
            "arrayminus": [scale * low for low, _ in bars],
        },
        "customdata": [p.rung.name.replace("_", " ") for p in fit.points],
        "hovertemplate": f"<b>{name}</b>, %{{customdata}}<br>%{{x:.3s}}: %{{y:.3g}}<extra></extra>",
    }  # fmt: skip
    return [*found, rungs if in_legend else {**rungs, "showlegend": False}]
