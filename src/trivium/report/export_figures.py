"""Figures as a paper prints them: SVG and PNG of the very Plotly JSON that the page draws.

Plotly itself draws them in a browser alone (Kaleido), which not every machine has; matplotlib needs
none. It draws what the report's figures use (lines, markers, error bars, bars, maps and panels) in
the colours of the light theme, the same bytes each time.
"""

import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trivium.colours import GRID, INK
from trivium.report.figures import Figure
from trivium.report.report import write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Sheet


WIDTH, DPI = 7.0, 150
"""Inches across, and dots of a PNG per inch."""
PIXELS = 100.0
"""Of the page, to an inch of paper."""
POINTS = 0.75
"""Of a pixel."""
LOOK: dict[Any, Any] = {
    "font.size": 9, "svg.hashsalt": "trivium", "svg.fonttype": "path", "axes.edgecolor": GRID[0],
    "axes.labelcolor": INK[0], "text.color": INK[0], "xtick.color": INK[0], "ytick.color": INK[0],
    "axes.titlesize": 9, "legend.frameon": False, "axes.axisbelow": True,
}  # fmt: skip
MARKERS = {
    "circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "x": "X", "star": "*",
}  # fmt: skip
DASHES = {"solid": "-", "dash": "--", "dot": ":"}


def printed(figure: Figure) -> dict[str, bytes]:
    """The figure's files by their endings; none where it holds what no drawer knows."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Sheet

    if not all(_kind(trace) in DRAWERS for trace in figure["data"]):
        return {}
    with rc_context(LOOK):
        sheet = Sheet(figsize=(WIDTH, figure["layout"]["height"] / PIXELS), dpi=DPI)
        _draw(sheet, figure)
        return {
            "svg": _saved(sheet, "svg", {"Date": None}),
            "png": _saved(sheet, "png", {"Software": None}),
        }


def print_figures(folder: Path) -> None:
    """Draw each Plotly JSON of a folder beside it."""
    for path in sorted(folder.glob("*.json")):
        for ending, content in printed(json.loads(path.read_text(encoding="utf-8"))).items():
            write(path.with_suffix(f".{ending}"), content)


def _saved(sheet: "Sheet", kind: str, metadata: dict[str, None]) -> bytes:
    content = io.BytesIO()
    sheet.savefig(content, format=kind, bbox_inches="tight", metadata=metadata, facecolor="white")
    return content.getvalue()


def _draw(sheet: "Sheet", figure: Figure) -> None:
    layout = figure["layout"]
    panels: dict[tuple[str, str], Axes] = {}
    for trace in figure["data"]:
        names = (trace.get("xaxis", "x"), trace.get("yaxis", "y"))
        if names not in panels:
            panels[names] = _panel(sheet, layout, names)
        places = [_places(trace.get(name[0]), _categories(figure, name)) for name in names]
        DRAWERS[_kind(trace)](panels[names], trace, *places)
    for names, panel in panels.items():
        for name in names:
            _dress(panel, name[0], layout.get(_full(name), {}), _categories(figure, name))
    _share(layout, panels)
    for note in layout.get("annotations", ()):
        sheet.text(*_inside(note["x"], note["y"] + 0.02), _plain(note["text"]), ha="center")
    _legend(sheet, figure, list(panels.values()))


def _panel(sheet: "Sheet", layout: dict[str, Any], names: tuple[str, str]) -> "Axes":
    (left, right), (low, high) = (
        layout.get(_full(name), {}).get("domain", (0, 1)) for name in names
    )
    x, y = _inside(left, low)
    end, top = _inside(right, high)
    panel = sheet.add_axes((x, y, end - x, top - y))
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(length=0)
    return panel


def _inside(x: float, y: float) -> tuple[float, float]:
    """A place on the plot, in shares of the sheet; labels around it may stand out."""
    return 0.1 + 0.88 * x, 0.14 + 0.78 * y


def _dress(panel: "Axes", which: str, axis: dict[str, Any], categories: Sequence[str]) -> None:
    """Scale, ticks, title and grid of one axis."""
    mine = panel.xaxis if which == "x" else panel.yaxis
    if axis.get("visible") is False:
        mine.set_visible(False)
        panel.spines[["left", "bottom"]].set_visible(False)
        return
    if axis.get("type") == "log":
        (panel.set_xscale if which == "x" else panel.set_yscale)("log")
        mine.set_ticks([], minor=True)
    ticks, texts = axis.get("tickvals"), axis.get("ticktext")
    if categories:
        ticks, texts = range(len(categories)), categories
    if ticks is not None:
        mine.set_ticks(list(ticks), labels=[_plain(text) for text in texts] if texts else None)
    if axis.get("showticklabels") is False:
        mine.set_tick_params(labelleft=False, labelbottom=False)
    if axis.get("tickangle"):
        for text in mine.get_ticklabels():
            text.set(rotation=-axis["tickangle"], ha="right", rotation_mode="anchor")
    if not categories:
        mine.grid(visible=True, color=GRID[0], linewidth=0.6)
    mine.set_label_text(_plain((axis.get("title") or {}).get("text", "")))
    if axis.get("autorange") == "reversed":
        mine.set_inverted(True)
    if axis.get("rangemode") == "tozero":
        (panel.set_xlim if which == "x" else panel.set_ylim)(0)


def _share(layout: dict[str, Any], panels: dict[tuple[str, str], "Axes"]) -> None:
    """Panels whose vertical axes match have the same ends."""
    rows: dict[str, list[Any]] = {}
    for names, panel in panels.items():
        rows.setdefault(layout.get(_full(names[1]), {}).get("matches", names[1]), []).append(panel)
    for mine in rows.values():
        ends = [panel.get_ylim() for panel in mine]
        if len(mine) > 1 and ends[0][0] < ends[0][1]:
            for panel in mine:
                panel.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))


def _legend(sheet: "Sheet", figure: Figure, panels: Sequence["Axes"]) -> None:
    if figure["layout"].get("showlegend") is False:
        return
    found: dict[str, Any] = {}
    for panel in panels:
        for handle, name in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    if len(found) > 1:
        names, columns = list(found), min(3, len(found))
        sheet.legend(
            list(found.values()), names, loc="upper center", bbox_to_anchor=(0.54, 0), ncols=columns
        )


def _scatter(panel: "Axes", trace: dict[str, Any], x: Any, y: Any) -> None:
    line, marker, mode = trace.get("line", {}), trace.get("marker", {}), trace.get("mode", "lines")
    is_drawn, is_marked = "lines" in mode, "markers" in mode
    shown = trace.get("showlegend") is not False and trace.get("name")
    look = {
        "color": line.get("color") or marker.get("color"),
        "linestyle": DASHES[line.get("dash", "solid")] if is_drawn else "none",
        "linewidth": POINTS * line.get("width", 2),
        "marker": MARKERS[marker.get("symbol", "circle")] if is_marked else None,
        "markersize": POINTS * marker.get("size", 6) * 0.8,
        "markeredgewidth": 0,
        "alpha": trace.get("opacity"),
        "label": _plain(trace["name"]) if shown else None,
    }
    bars = {"xerr": _error(trace.get("error_x")), "yerr": _error(trace.get("error_y"))}
    if any(bar is not None for bar in bars.values()):
        panel.errorbar(x, y, **bars, **look, elinewidth=1, capsize=2)
    else:
        panel.plot(x, y, **look)


def _error(bar: dict[str, Any] | None) -> Any:
    """Of an error bar, its reach to both sides."""
    if bar is None:
        return None
    if "value" in bar:
        return bar["value"]
    return [bar.get("arrayminus", bar["array"]), bar["array"]]


def _bar(panel: "Axes", trace: dict[str, Any], x: Any, y: Any) -> None:
    lengths = [0 if value is None else value for value in x]
    panel.barh(y, lengths, color=trace["marker"]["color"], height=0.65)


def _heatmap(panel: "Axes", trace: dict[str, Any], x: Any, y: Any) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    values = np.array(trace["z"], dtype=np.float64)
    scale = LinearSegmentedColormap.from_list("", [tuple(stop) for stop in trace["colorscale"]])
    low, high = trace["zmin"], trace["zmax"]
    edges = [np.append(np.array(places) - 0.5, len(places) - 0.5) for places in (x, y)]
    look = {"cmap": scale, "vmin": low, "vmax": high, "edgecolors": "white", "linewidth": 0.5}
    panel.pcolormesh(*edges, np.ma.masked_invalid(values), **look)
    for row, texts in enumerate(trace.get("text") or ()):
        for column, text in enumerate(texts):
            share = (values[row, column] - low) / (high - low)
            dark = np.isfinite(share) and np.dot(scale(share)[:3], (0.299, 0.587, 0.114)) < 0.5
            colour = "white" if dark else INK[0]
            panel.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)


DRAWERS: dict[str, Callable[["Axes", dict[str, Any], Any, Any], None]] = {
    "scatter": _scatter, "bar": _bar, "heatmap": _heatmap,
}  # fmt: skip
"""What draws each kind of trace."""


def _kind(trace: dict[str, Any]) -> str:
    return str(trace.get("type", "scatter"))


def _categories(figure: Figure, name: str) -> list[str]:
    """The names along an axis, in order; none if it has numbers."""
    mine = [trace for trace in figure["data"] if trace.get(f"{name[0]}axis", name[0]) == name]
    values = [value for trace in mine for value in trace.get(name[0]) or ()]
    found = list(dict.fromkeys(value for value in values if isinstance(value, str)))
    named = figure["layout"].get(_full(name), {}).get("categoryarray")
    return list(named) if named else found


def _places(values: Sequence[Any], categories: Sequence[str]) -> list[Any]:
    return [categories.index(value) for value in values] if categories else list(values)


def _full(name: str) -> str:
    """An axis's name in the layout: `xaxis2` of `x2`."""
    return f"{name[0]}axis{name[1:]}"


def _plain(text: str) -> str:
    """Words without HTML; signs of formulas are none here."""
    return re.sub(r"<[^>]+>", " ", str(text)).replace("$", r"\$").strip()
