"""Plotly figures of the report, as plain Plotly JSON (`data` and `layout`).

Colours are those of the light theme; the page exchanges them by `colours.darkened`.
"""

import json
import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from trivium.colours import CLASSES, GRID, INK, LIGHT, Shades
from trivium.report.label_free import Correlation, Likeness
from trivium.report.ranking import Ranking
from trivium.report.runs import Run
from trivium.report.tables import Estimate, Row, Table, fraction, label

Figure = dict[str, Any]
"""A Plotly figure as JSON."""
Trace = tuple[str, dict[str, Any]]
"""The title of a panel, and a Plotly trace in it."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
COSTS = (
    ("training FLOPs", "flops", 1.0),
    ("seconds", "seconds", 1.0),
    ("peak memory (MB)", "peak_memory_mb", 1.0),
    ("data wait (%)", "data_wait_share", 100.0),
)
"""Panels of the cost figure: title, key and scale."""


def compact(value: Any) -> str:
    """JSON without spaces; refuses what JSON cannot hold.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def panels(
    traces: Sequence[Trace],
    *,
    columns: int = 3,
    shared_y: bool = False,
    spacing: float = 0.05,
    gap: float = 0.28,
) -> Any:
    """A Plotly figure of panels in the order of their titles; a name is in the legend once."""
    from plotly.subplots import make_subplots

    titles = list(dict.fromkeys(title for title, _ in traces))
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    figure = make_subplots(
        rows=rows, cols=columns, subplot_titles=titles, shared_yaxes=shared_y,
        horizontal_spacing=spacing, vertical_spacing=gap / rows,
    )  # fmt: skip
    listed = {None}
    for title, trace in traces:
        row, column = divmod(titles.index(title), columns)
        name = trace.get("name")
        legend = {"legendgroup": name, "showlegend": name not in listed}
        figure.add_trace({"type": "scatter", **legend, **trace}, row=row + 1, col=column + 1)
        listed.add(name)
    return figure


def styled(figure: Any, *, height: int) -> Figure:
    """The figure as JSON, with the style that all share."""
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


def estimates(
    x: Sequence[float], entries: Sequence[Estimate], row: Row, shade: tuple[str, str], dash: str
) -> dict[str, Any]:
    """A line through means in percent with their 95 % intervals; controls are dashed."""
    colour, symbol = shade
    dash = "dash" if row.paradigm == "control" else dash
    means = [100 * entry.mean for entry in entries]
    bounds = [entry.bounds or (entry.mean, entry.mean) for entry in entries]
    pairs = list(zip(means, bounds, strict=True))
    texts = [f"{low * 100:.1f} to {high * 100:.1f}" for low, high in bounds]
    return {
        "x": x, "y": means, "name": row.label, "mode": "lines+markers",
        "line": {"color": colour, "width": 2, "dash": dash},
        "marker": {"symbol": symbol, "size": 8, "color": colour},
        "error_y": {
            "type": "data", "symmetric": False, "thickness": 1.4, "width": 4, "color": colour,
            "array": [100 * high - mean for mean, (_, high) in pairs],
            "arrayminus": [mean - 100 * low for mean, (low, _) in pairs],
        },
        "customdata": texts,
        "hovertemplate": f"<b>{row.label}</b><br>%{{y:.1f}} % (%{{customdata}})<extra></extra>",
    }  # fmt: skip


def label_efficiency(table: Table, probe: str, colours: Shades) -> Figure | None:
    """Accuracy against the label fraction (log axis) with intervals.

    Controls are dashed; an encoder that was pretrained with further modalities is dotted.
    """
    lines = [(row, label_points(table, row, probe)) for row in table.rows]
    lines = [(row, points) for row, points in lines if points]
    if not lines:
        return None
    traces = []
    for index, (row, points) in enumerate(lines):
        dodge = 1.035 ** (index - (len(lines) - 1) / 2)
        shares, entries = zip(*points, strict=True)
        dash = "dot" if entries[0].scores.others else "solid"
        shade = colours[row.paradigm, row.objective]
        shifted = [share * dodge for share in shares]
        traces.append(("", estimates(shifted, entries, row, shade, dash)))
    ticks = sorted({share for _, points in lines for share, _ in points})
    texts = [fraction(share) for share in ticks]
    figure = panels(traces)
    figure.update_xaxes(
        type="log", title="labels used by the probe", tickvals=ticks, ticktext=texts
    )
    figure.update_yaxes(title=f"test {table.metric.replace('_', ' ')} (%)")
    return styled(figure, height=500)


def label_points(table: Table, row: Row, probe: str) -> list[tuple[float, Estimate]]:
    """The share of labels and the entry of each measured column of a probe."""
    columns = zip(table.columns, row.entries, strict=True)
    return [(share, entry) for (name, share), entry in columns if name == probe and entry]


def costs(runs: Sequence[Run], colours: Shades) -> Figure | None:
    """Bars of what each objective cost, mean over seeds: FLOPs, seconds, memory, data wait."""
    trained = [run for run in runs if run.facts.paradigm != "control"]
    keys = list(dict.fromkeys(key_of(run) for run in trained))[::-1]
    traces = []
    for title, name, scale in COSTS:
        means = [mean_price([run for run in trained if key_of(run) == key], name) for key in keys]
        if any(mean is not None for mean in means):
            bars = {
                "type": "bar", "orientation": "h", "y": [label(name) for _, name in keys],
                "x": [None if mean is None else scale * mean for mean in means],
                "marker": {"color": [colours[key][0] for key in keys]},
                "hovertemplate": "%{y}: %{x:.4s}<extra></extra>",
            }  # fmt: skip
            traces.append((title, bars))
    if not traces:
        return None
    figure = panels(traces, columns=len(traces), shared_y=True, spacing=0.035)
    figure.update_xaxes(nticks=4, rangemode="tozero", exponentformat="power")
    figure.update_layout(bargap=0.35)
    return styled(figure, height=110 + 34 * len(keys))


def mean_price(runs: Sequence[Run], name: str) -> float | None:
    """Mean of a price over runs, from their metrics or their cost; None if it is unknown."""
    known = [price for run in runs if (price := _price(run, name)) is not None]
    return fmean(known) if known else None


def _price(run: Run, name: str) -> float | None:
    paid = {"flops": run.facts.flops, "samples": run.facts.samples}
    for document in (run.metrics, run.cost, paid):
        if document and document.get(name) is not None:
            return float(document[name])
    return None


def foretold(found: Sequence[Correlation], colours: Shades) -> Figure | None:
    """Accuracy against each diagnostic, a point per trained encoder, in a panel of its own."""
    traces = []
    for one in found:
        title = f"{label(one.metric)}: rho {one.rho:+.2f}"
        for way, value, accuracy in zip(one.names, one.values, one.accuracies, strict=True):
            colour, symbol = colours[way[0], way[1]]
            name = label(way[1])
            point = {
                "x": [value], "y": [100 * accuracy], "mode": "markers", "name": name,
                "marker": {"color": colour, "symbol": symbol, "size": 9},
                "hovertemplate": f"{name} · {way[2]}<br>%{{x:.4g}}, %{{y:.1f}} %<extra></extra>",
            }  # fmt: skip
            traces.append((title, point))
    if not traces:
        return None
    figure = panels(traces, shared_y=True, gap=0.3)
    figure.update_yaxes(title="test accuracy (%)", col=1)
    return styled(figure, height=120 + 230 * -(-len(found) // 3))


def likeness(found: Likeness | None) -> Figure | None:
    """CKA of all pairs of encoders as a map; darker is more alike."""
    if found is None:
        return None
    values = [[None if math.isnan(v) else round(float(v), 3) for v in row] for row in found.values]
    trace = {
        "z": values, "text": [["" if v is None else f"{v:.2f}" for v in row] for row in values],
        "texttemplate": "%{text}", "zmin": 0, "zmax": 1, "textfont": {"color": INK[0]},
        "colorscale": [[0, "#f6efdc"], [0.5, "#a8d0c6"], [1, "#5ba3c0"]],
        "hovertemplate": "%{y} and %{x}: %{z:.2f}<extra></extra>",
    }  # fmt: skip
    figure = heatmap(trace, found.names)
    figure.update_xaxes(side="top")
    finished = styled(figure, height=150 + 34 * len(found.names))
    finished["layout"]["margin"] |= {"t": 110}
    return finished


def heatmap(trace: dict[str, Any], names: Sequence[str]) -> Any:
    """A square map with the same names along both axes, the first row at the top."""
    short = [name if len(name) <= 22 else f"{name[:21]}…" for name in names]
    unique = [
        name if short.count(name) == 1 else f"{name} ({at + 1})" for at, name in enumerate(short)
    ]
    shared = {"type": "heatmap", "showscale": False, "xgap": 1, "ygap": 1, "hoverongaps": False}
    figure = panels([("", {**shared, "x": unique, "y": unique, **trace})])
    figure.update_yaxes(autorange="reversed", dtick=1)
    figure.update_xaxes(tickangle=-40, dtick=1)
    return figure.update_traces(showlegend=None)


def standing(found: Sequence[Ranking]) -> Figure | None:
    """Mean ranks with half of the critical difference to either side: bars that do not meet differ.

    A panel for each label fraction.
    """
    if not found:
        return None
    traces = [
        (
            f"{fraction(one.fraction)} of the labels",
            {
                "x": [rank.mean], "y": [rank.name], "mode": "markers",
                "marker": {"color": LIGHT[rank.paradigm][0], "size": 10},
                "error_x": {
                    "type": "constant", "value": one.critical / 2, "thickness": 2, "width": 5,
                    "color": LIGHT[rank.paradigm][0],
                },
                "hovertemplate": f"{rank.name}: mean rank %{{x:.2f}}<extra></extra>",
            },
        )
        for one in found
        for rank in one.ranks
    ]  # fmt: skip
    figure = panels(traces, columns=len(found), shared_y=True, spacing=0.04)
    names = [rank.name for rank in found[-1].ranks]
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    figure.update_xaxes(title="mean rank (1 is best)", dtick=1)
    return styled(figure, height=120 + 38 * len(names))


def embedding(run: Run) -> Figure | None:
    """The last map of validation items, coloured by class; near points have alike features."""
    found = run.snapshots
    if not found or not found.get("x"):
        return None
    labels = [int(value) for value in found["label"]]
    traces = []
    for index, (name, colour) in zip(sorted(set(labels)), classes(run), strict=True):
        x, y = (
            [value for value, one in zip(found[axis][-1], labels, strict=True) if one == index]
            for axis in ("x", "y")
        )
        points = {
            "x": x, "y": y, "name": name, "mode": "markers",
            "marker": {"size": 5, "color": colour}, "hovertemplate": f"{name}<extra></extra>",
        }  # fmt: skip
        traces.append(("", points))
    figure = panels(traces)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    finished = styled(figure, height=300)
    finished["layout"] |= {"showlegend": False, "margin": {"l": 4, "r": 4, "t": 4, "b": 4}}
    return finished


def classes(run: Run) -> tuple[tuple[str, str], ...]:
    """Name and colour of each class on an embedding map."""
    found = run.snapshots or {}
    present = sorted({int(value) for value in found.get("label", ())})
    names = found.get("classes") or list(range(max(present, default=-1) + 1))
    return tuple((str(names[index]), CLASSES[index % len(CLASSES)]) for index in present)


def key_of(run: Run) -> tuple[str, str]:
    """The paradigm and objective that give a run its colour."""
    return run.facts.paradigm, run.facts.objective
