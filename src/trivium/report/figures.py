"""Plotly figures of the report, as plain Plotly JSON (`data` and `layout`).

Colours are those of the light theme; the page exchanges them by `palette.darkened`.
"""

import json
import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from trivium.colours import CLASSES, GRID, INK, LIGHT, Shades
from trivium.report.label_free import Likeness, Prediction
from trivium.report.ranking import Ranking
from trivium.report.runs import Run
from trivium.report.tables import Entry, Row, Table, fraction, label

Figure = dict[str, Any]
"""A Plotly figure as JSON."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


def compact(value: Any) -> str:
    """JSON without spaces; refuses what JSON cannot hold.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def label_efficiency(table: Table, probe: str, colours: Shades) -> Figure | None:
    """Accuracy against the label fraction (log axis) with intervals.

    Controls are dashed; what learnt with other modalities than it is examined on is dotted.
    """
    import plotly.graph_objects as go

    columns = [(i, f) for i, (name, f) in enumerate(table.columns) if name == probe]
    lines = [(row, [(f, e) for i, f in columns if (e := row.entries[i])]) for row in table.rows]
    lines = [(row, points) for row, points in lines if points]
    if not lines:
        return None
    figure = go.Figure()
    for index, (row, points) in enumerate(lines):
        dodge = 1.035 ** (index - (len(lines) - 1) / 2)
        figure.add_trace(_line(row, points, colours[row.paradigm, row.objective], dodge))
    shares = sorted({share for _, points in lines for share, _ in points})
    figure.update_xaxes(
        type="log", title="labels used by the probe", tickvals=shares,
        ticktext=[fraction(share) for share in shares],
    )  # fmt: skip
    figure.update_yaxes(title=f"test {table.metric.replace('_', ' ')} (%)")
    return styled(figure, height=500)


def costs(runs: Sequence[Run], colours: Shades) -> Figure | None:
    """Bars of what each objective cost, mean over seeds: FLOPs, seconds, memory, data wait."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    panels = [panel for panel in COSTS if any(price(run, panel[1]) is not None for run in runs)]
    trained = [run for run in runs if run.facts.paradigm != "control"]
    if not panels or not trained:
        return None
    keys = list(dict.fromkeys(key_of(run) for run in trained))[::-1]
    figure = make_subplots(
        rows=1, cols=len(panels), shared_yaxes=True, horizontal_spacing=0.035,
        subplot_titles=[title for title, _, _ in panels],
    )  # fmt: skip
    for column, (_, name, scale) in enumerate(panels, start=1):
        means = [_mean_price(trained, key, name, scale) for key in keys]
        bars = go.Bar(
            x=means, y=[label(name) for _, name in keys], orientation="h", showlegend=False,
            marker={"color": [colours[key][0] for key in keys]},
            hovertemplate="%{y}: %{x:.4s}<extra></extra>",
        )  # fmt: skip
        figure.add_trace(bars, row=1, col=column)
    figure.update_xaxes(nticks=4, rangemode="tozero", exponentformat="power")
    figure.update_layout(bargap=0.35)
    return styled(figure, height=110 + 34 * len(keys))


def foretold(found: Sequence[Prediction], colours: Shades) -> Figure | None:
    """Accuracy against each diagnostic, a point per trained encoder, in a panel of its own."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    if not found:
        return None
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    titles = [f"{label(one.metric)}: rho {one.rho:+.2f}" for one in found]
    figure = make_subplots(
        rows=rows, cols=columns, subplot_titles=titles, shared_yaxes=True,
        horizontal_spacing=0.05, vertical_spacing=0.3 / rows,
    )  # fmt: skip
    shown = set()
    for index, one in enumerate(found):
        row, column = divmod(index, columns)
        for way, value, accuracy in zip(one.names, one.values, one.accuracies, strict=True):
            colour, symbol = colours[way[0], way[1]]
            name = label(way[1])
            trace = go.Scatter(
                x=[value], y=[100 * accuracy], mode="markers", name=name, legendgroup=name,
                showlegend=name not in shown,
                marker={"color": colour, "symbol": symbol, "size": 9},
                hovertemplate=f"{name} · {way[2]}<br>%{{x:.4g}}, %{{y:.1f}} %<extra></extra>",
            )  # fmt: skip
            shown.add(name)
            figure.add_trace(trace, row=row + 1, col=column + 1)
    figure.update_yaxes(title="test accuracy (%)", col=1)
    return styled(figure, height=120 + 230 * rows)


def likeness(found: Likeness | None) -> Figure | None:
    """CKA of all pairs of encoders as a map; darker is more alike."""
    import plotly.graph_objects as go

    if found is None:
        return None
    values = [[None if math.isnan(v) else round(float(v), 3) for v in row] for row in found.values]
    texts = [["" if v is None else f"{v:.2f}" for v in row] for row in values]
    names = [unique(name, index, found.names) for index, name in enumerate(found.names)]
    figure = go.Figure(
        go.Heatmap(
            z=values, x=names, y=names, text=texts, texttemplate="%{text}", zmin=0, zmax=1,
            colorscale=[[0, "#f6efdc"], [0.5, "#a8d0c6"], [1, "#5ba3c0"]],
            textfont={"color": "#1d2126"}, showscale=False, xgap=1, ygap=1, hoverongaps=False,
            hovertemplate="%{y} and %{x}: %{z:.2f}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(side="top", tickangle=-40)
    finished = styled(figure, height=150 + 34 * len(names))
    finished["layout"]["margin"] |= {"t": 110}
    return finished


def standing(found: Sequence[Ranking]) -> Figure | None:
    """Mean ranks with half of the critical difference to either side: bars that do not meet differ.

    A panel for each label fraction.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    if not found:
        return None
    titles = [f"{fraction(one.fraction)} of the labels" for one in found]
    figure = make_subplots(
        rows=1, cols=len(found), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.04
    )
    for column, one in enumerate(found, start=1):
        for rank in one.ranks:
            colour = LIGHT[rank.paradigm][0]
            trace = go.Scatter(
                x=[rank.mean], y=[rank.name], mode="markers", showlegend=False,
                marker={"color": colour, "size": 10},
                error_x={"type": "constant", "value": one.critical / 2, "color": colour,
                         "thickness": 2, "width": 5},
                hovertemplate=f"{rank.name}: mean rank %{{x:.2f}}<extra></extra>",
            )  # fmt: skip
            figure.add_trace(trace, row=1, col=column)
    names = [rank.name for rank in found[-1].ranks]
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    figure.update_xaxes(title="mean rank (1 is best)", dtick=1)
    return styled(figure, height=120 + 38 * len(names))


def unique(name: str, index: int, names: Sequence[str]) -> str:
    """The name, with its number if another one is the same: a map's axis needs names apart."""
    return name if list(names).count(name) == 1 else f"{name} ({index + 1})"


def embedding(run: Run) -> Figure | None:
    """A map of validation items, coloured by class; near points look alike to the encoder."""
    import plotly.graph_objects as go

    found = run.film
    if not found or not found.get("x"):
        return None
    x, y = found["x"][-1], found["y"][-1]
    figure = go.Figure()
    labels = [int(value) for value in found["label"]]
    for index, (name, colour) in zip(sorted(set(labels)), classes(run), strict=True):
        chosen = [i for i, value in enumerate(labels) if value == index]
        trace = go.Scatter(
            x=[x[i] for i in chosen], y=[y[i] for i in chosen], name=name,
            mode="markers", marker={"size": 5, "color": colour},
            hovertemplate=f"{name}<extra></extra>",
        )  # fmt: skip
        figure.add_trace(trace)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    finished = styled(figure, height=300)
    finished["layout"] |= {"showlegend": False, "margin": {"l": 4, "r": 4, "t": 4, "b": 4}}
    return finished


def classes(run: Run) -> tuple[tuple[str, str], ...]:
    """Name and colour of each class on an embedding map."""
    found = run.film or {}
    present = sorted({int(value) for value in found.get("label", ())})
    names = found.get("classes") or list(range(max(present, default=-1) + 1))
    return tuple((str(names[index]), CLASSES[index % len(CLASSES)]) for index in present)


COSTS = (
    ("training FLOPs", "flops", 1.0),
    ("seconds", "seconds", 1.0),
    ("peak memory (MB)", "peak_memory_mb", 1.0),
    ("data wait (%)", "data_wait_share", 100.0),
)
"""Panels of the cost figure: title, key and scale."""


def price(run: Run, name: str) -> float | None:
    """One figure of a run's price, from its metrics or its wall-clock cost; None if unknown."""
    for document in (run.metrics, run.cost):
        if document and document.get(name) is not None:
            return float(document[name])
    if name in ("flops", "samples"):
        return float(getattr(run.facts, name))
    return None


def _mean_price(runs: Sequence[Run], key: tuple[str, str], name: str, scale: float) -> float | None:
    mine = [r for r in runs if key_of(r) == key]
    prices = [found for run in mine if (found := price(run, name)) is not None]
    return scale * fmean(prices) if prices else None


def _line(
    row: Row, points: Sequence[tuple[float, Entry]], shade: tuple[str, str], dodge: float
) -> Any:
    import plotly.graph_objects as go

    colour, symbol = shade
    means = [100 * entry.mean for _, entry in points]
    bounds = [entry.bounds or (entry.mean, entry.mean) for _, entry in points]
    dash = "dot" if points[0][1].scores.others else "solid"
    texts = [f"{low * 100:.1f} to {high * 100:.1f}" for low, high in bounds]
    return go.Scatter(
        x=[share * dodge for share, _ in points], y=means, name=row.label,
        mode="lines+markers",
        line={"color": colour, "width": 2, "dash": "dash" if row.paradigm == "control" else dash},
        marker={"symbol": symbol, "size": 8, "color": colour},
        error_y={
            "type": "data", "symmetric": False, "thickness": 1.4, "width": 4, "color": colour,
            "array": [100 * high - mean for mean, (_, high) in zip(means, bounds, strict=True)],
            "arrayminus": [mean - 100 * low for mean, (low, _) in zip(means, bounds, strict=True)],
        },
        customdata=[[fraction(p[0]), text] for p, text in zip(points, texts, strict=True)],
        hovertemplate=f"<b>{row.label}</b>, %{{customdata[0]}} labels<br>%{{y:.1f}} % "
        "(%{customdata[1]})<extra></extra>",
    )  # fmt: skip


def key_of(run: Run) -> tuple[str, str]:
    """The paradigm and objective that give a run its colour."""
    return run.facts.paradigm, run.facts.objective


def styled(figure: Any, *, height: int) -> Figure:
    """The figure as JSON, with the look that all share."""
    axis = {"gridcolor": GRID[0], "zeroline": False, "linecolor": GRID[0], "automargin": True}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    figure.update_layout(
        template="none", height=height, autosize=True,
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": INK[0]},
        margin={"l": 56, "r": 12, "t": 32, "b": 48},
        legend={"orientation": "h", "yref": "container", "y": 0, "x": 0, "yanchor": "bottom"},
        hoverlabel={"font": {"family": FONT}},
    )  # fmt: skip
    figure.update_annotations(font={"size": 13, "color": INK[0]})
    found: Figure = json.loads(figure.to_json())
    return found
