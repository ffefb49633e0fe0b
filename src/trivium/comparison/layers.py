"""Accuracy against the layer that is probed."""

from trivium.comparison.figures import Figure, styled
from trivium.comparison.palette import Shades
from trivium.comparison.sensitivity import LAYER, Sensitivity
from trivium.comparison.tables import Row


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
