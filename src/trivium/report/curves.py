"""Curves of what was measured during pretraining, and of accuracy over layers."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from trivium.colours import Shades
from trivium.report.figures import Figure, key_of, styled
from trivium.report.runs import Run
from trivium.report.sensitivity import LAYER, Sensitivity
from trivium.report.tables import Row, label

HEIGHT = 440


class Watched(NamedTuple):
    """What was looked at now and then: where a run keeps it, and how it is written."""

    curve: str
    name: str
    title: str
    scale: int
    hover: str


MONITOR = Watched(
    "monitor", "accuracy", "online monitor, validation accuracy (%)", 100, "%{y:.1f} %"
)
LANGUAGE = Watched(
    "language",
    "bits_per_byte",
    "validation text, bits per byte",
    1,
    "%{y:.3f} bits per byte",
)


def monitor(runs: Sequence[Run], colours: Shades) -> Figure | None:
    """The online probe's validation accuracy against training FLOPs, a thin line per seed."""
    return _against_flops(runs, colours, MONITOR)


def language(runs: Sequence[Run], colours: Shades) -> Figure | None:
    """Language models' bits per byte of validation text against training FLOPs."""
    return _against_flops(runs, colours, LANGUAGE)


def clock(runs: Sequence[Run], colours: Shades) -> Figure | None:
    """The online probe's validation accuracy against the seconds of pretraining."""
    figure = _watched(runs, colours, MONITOR, seconds_at, "%{x:.1f} s")
    if figure is None:
        return None
    figure.update_xaxes(title="seconds of pretraining on this machine", rangemode="tozero")
    return styled(figure, height=HEIGHT)


def _against_flops(runs: Sequence[Run], colours: Shades, what: Watched) -> Figure | None:
    figure = _watched(runs, colours, what, flops_at, "%{x:.3s} FLOPs")
    if figure is None:
        return None
    figure.update_xaxes(title="training FLOPs", exponentformat="power")
    return styled(figure, height=HEIGHT)


def _watched(
    runs: Sequence[Run],
    colours: Shades,
    what: Watched,
    price_at: Callable[[Run, Sequence[Any]], list[float] | None],
    price: str,
) -> Any:
    """A thin line per seed against a price of each look; None where nothing was looked at."""
    import plotly.graph_objects as go

    figure, shown = go.Figure(), set()
    for run in runs:
        watched = (run.curves or {}).get(what.curve) or {}
        paid = price_at(run, watched["step"]) if watched.get("step") else None
        if not paid or what.name not in watched:
            continue
        key = key_of(run)
        colour, named = colours[key][0], label(key[1])
        figure.add_trace(
            go.Scatter(
                x=paid, y=[what.scale * value for value in watched[what.name]],
                name=named, legendgroup=named, showlegend=key not in shown,
                mode="lines", line={"color": colour, "width": 1.8}, opacity=0.85,
                hovertemplate=f"{named}, seed {run.facts.seed}: {what.hover}<br>"
                f"{price}<extra></extra>",
            )
        )  # fmt: skip
        shown.add(key)
    if not shown:
        return None
    figure.update_yaxes(title=what.title)
    return figure


def losses(runs: Sequence[Run], colours: Shades) -> Figure | None:
    """Each objective's pretraining loss against FLOPs in a panel of its own scale."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    drawn = [run for run in runs if ((run.curves or {}).get("terms") or {}).get("loss")]
    keys = list(dict.fromkeys(key_of(r) for r in drawn))
    if not keys:
        return None
    columns = min(3, len(keys))
    rows = -(-len(keys) // columns)
    figure = make_subplots(
        rows=rows, cols=columns, subplot_titles=[label(name) for _, name in keys],
        horizontal_spacing=0.08, vertical_spacing=0.28 / rows,
    )  # fmt: skip
    for run in drawn:
        key = key_of(run)
        place = divmod(keys.index(key), columns)
        curves = run.curves or {}
        trace = go.Scatter(
            x=_short(curves["flops"]), y=_short(curves["terms"]["loss"]), mode="lines",
            showlegend=False, line={"color": colours[key][0], "width": 1.6}, opacity=0.85,
            hovertemplate=f"seed {run.facts.seed}: %{{y:.4g}}<br>%{{x:.3s}} FLOPs<extra></extra>",
        )  # fmt: skip
        figure.add_trace(trace, row=place[0] + 1, col=place[1] + 1)
    figure.update_xaxes(exponentformat="power", nticks=4)
    return styled(figure, height=80 + 210 * rows)


def flops_at(run: Run, steps: Sequence[Any]) -> list[float]:
    """Training FLOPs at steps, between those of the curves in proportion to the steps."""
    curves = run.curves or {}
    if curves.get("step") and curves["step"][-1]:
        known, spent = [0, *curves["step"]], [0, *curves["flops"]]
        return [float(value) for value in np.interp(steps, known, spent)]
    each = float((run.metrics or {}).get("flops_per_step") or 1.0)
    return [step * each for step in steps]


def seconds_at(run: Run, steps: Sequence[Any]) -> list[float] | None:
    """Seconds of pretraining at steps, in proportion to their FLOPs; None if no clock ran."""
    seconds = (run.cost or {}).get("seconds")
    spent = flops_at(run, steps)
    total = float((run.metrics or {}).get("flops") or run.facts.flops)
    if seconds is None or not total:
        return None
    return [float(seconds) * flops / total for flops in spent]


def _short(values: Sequence[float]) -> list[float]:
    """Five digits of each: no eye sees more, and the page has many."""
    return [float(f"{value:.5g}") for value in values]


def by_layer(found: Sensitivity, colours: Shades) -> Figure | None:
    """A line for each way of learning over its layers, with intervals; controls are dashed."""
    import plotly.graph_objects as go

    numbers = [int(name.removeprefix(LAYER)) for name in found.layers]
    figure = go.Figure()
    lines = 0
    for row in found.rows:
        entries = [
            (number, entry)
            for number, name in zip(numbers, found.layers, strict=True)
            if (entry := row.entries[found.columns.index(name)])
        ]
        if len(entries) < 2:
            continue
        colour, symbol = colours[row.paradigm, row.objective]
        bounds = [entry.bounds or (entry.mean, entry.mean) for _, entry in entries]
        pairs = list(zip(entries, bounds, strict=True))
        trace = go.Scatter(
            x=[number + 0.012 * lines for number, _ in entries],
            y=[100 * entry.mean for _, entry in entries], name=row.label, mode="lines+markers",
            line={"color": colour, "width": 2, "dash": _dash(row)},
            marker={"symbol": symbol, "size": 8, "color": colour},
            error_y={
                "type": "data", "symmetric": False, "thickness": 1.2, "width": 3, "color": colour,
                "array": [100 * (high - entry.mean) for (_, entry), (_, high) in pairs],
                "arrayminus": [100 * (entry.mean - low) for (_, entry), (low, _) in pairs],
            },
            hovertemplate=f"<b>{row.label}</b><br>%{{y:.1f}} %<extra></extra>",
        )  # fmt: skip
        figure.add_trace(trace)
        lines += 1
    if not lines:
        return None
    figure.update_xaxes(
        title="layer", tickvals=numbers,
        ticktext=["stem" if number == 0 else f"block {number}" for number in numbers],
    )  # fmt: skip
    figure.update_yaxes(title="test accuracy (%)")
    return styled(figure, height=440)


def _dash(row: Row) -> str:
    return "dash" if row.paradigm == "control" else "solid"
