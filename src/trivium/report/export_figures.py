"""Figures as a paper prints them: SVG and PNG, drawn from the report's data by matplotlib.

The same bytes each time, in the colours of the light theme, under the names of the Plotly JSON.
"""

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trivium.colours import GRID, INK, LIGHT, Shades, shades
from trivium.io import write_bytes
from trivium.report import curves, figures
from trivium.report.confusion import Confusion
from trivium.report.export import figure_names
from trivium.report.label_free import LabelFree
from trivium.report.ranking import Ranking
from trivium.report.runs import Run
from trivium.report.sections import Report, Section
from trivium.report.sensitivity import LAYER, Sensitivity
from trivium.report.tables import Estimate, Row, Table, fraction, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Sheet

Drawer = Callable[["Sheet"], None]
"""Draws one figure on an empty sheet."""

WIDTH, HEIGHT, DPI = 7.0, 4.4, 150
"""Inches of a figure of one panel, and dots of a PNG per inch."""
STYLE: dict[Any, Any] = {
    "font.size": 9, "svg.hashsalt": "trivium", "svg.fonttype": "path", "axes.edgecolor": GRID[0],
    "axes.labelcolor": INK[0], "text.color": INK[0], "xtick.color": INK[0], "ytick.color": INK[0],
    "axes.titlesize": 9, "legend.frameon": False, "axes.axisbelow": True, "axes.grid": True,
    "grid.color": GRID[0], "grid.linewidth": 0.6, "axes.spines.top": False,
    "axes.spines.right": False, "lines.markeredgewidth": 0, "xtick.minor.size": 0,
}  # fmt: skip
MARKERS = {
    "circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "x": "X", "star": "*",
}  # fmt: skip


def print_figures(report: Report, folder: Path) -> None:
    """Draw every figure of a report into a folder, as NAME.svg and NAME.png."""
    for name, drawer in drawers(report).items():
        for ending, content in printed(drawer).items():
            write_bytes(folder / f"{name}.{ending}", content)


def printed(drawer: Drawer) -> dict[str, bytes]:
    """One figure's files by their endings."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Sheet

    files = {}
    with rc_context(STYLE):
        sheet = Sheet(figsize=(WIDTH, HEIGHT), dpi=DPI, layout="constrained")
        drawer(sheet)
        for ending, unset in (("svg", "Date"), ("png", "Software")):
            content = io.BytesIO()
            sheet.savefig(content, format=ending, metadata={unset: None}, facecolor="white")
            files[ending] = content.getvalue()
    return files


def drawers(report: Report) -> dict[str, Drawer]:
    """What draws each figure, by its name."""
    colours = shades((one.facts.paradigm, one.facts.objective) for one in report.examined)
    found: dict[str, Drawer] = {}
    for section, names in zip(report.sections, figure_names(report), strict=True):
        mine = _of_section(section, colours)
        found |= {name: mine[shown] for shown, name in names.items()}
    if report.rankings:
        found["standing"] = partial(_ranking, report.rankings)
    return found


def _of_section(section: Section, colours: Shades) -> dict[str, Drawer]:
    runs = section.runs
    tables = [table for table in section.tables if table.metric == "accuracy"]
    found: dict[str, Drawer] = {
        "monitor": partial(_curves, runs, colours, curves.MONITOR, curves.flops_at),
        "clock": partial(_curves, runs, colours, curves.MONITOR, curves.seconds_at),
        "language": partial(_curves, runs, colours, curves.LANGUAGE, curves.flops_at),
        "losses": partial(_losses, runs, colours),
        "costs": partial(_costs, runs, colours),
    }
    if tables and section.answers:
        found["labels"] = partial(_labels, tables[0], section.answers[0].probe, colours)
    if section.diagnosis:
        found["foretold"] = partial(_predictions, section.diagnosis, colours)
        found["likeness"] = partial(_likeness, section.diagnosis)
    if section.sensitivity:
        found["layers"] = partial(_layers, section.sensitivity, colours)
    if section.confusion:
        for at, one in enumerate(section.confusion.objectives):
            found[f"confusion-{one.paradigm}"] = partial(_confusion, section.confusion, at)
    return found | {name: partial(_embedding, run) for run, name in section.maps}


def _labels(table: Table, probe: str, colours: Shades, sheet: "Sheet") -> None:
    """Accuracy against the share of labels, on a logarithmic axis."""
    panel = sheet.subplots()
    panel.set_xscale("log")
    every: set[float] = set()
    lines = [(row, figures.label_points(table, row, probe)) for row in table.rows]
    lines = [(row, points) for row, points in lines if points]
    for index, (row, points) in enumerate(lines):
        dodge = 1.035 ** (index - (len(lines) - 1) / 2)
        x, entries = zip(*points, strict=True)
        every |= set(x)
        dash = ":" if entries[0].scores.others else "-"
        _estimates(panel, [share * dodge for share in x], entries, row, colours, dash)
    panel.set_xticks(sorted(every), [fraction(share) for share in sorted(every)])
    panel.set(xlabel="labels used by the probe", ylabel="test accuracy (%)")
    _legend(sheet)


def _layers(found: Sensitivity, colours: Shades, sheet: "Sheet") -> None:
    panel = sheet.subplots()
    numbers = [int(name.removeprefix(LAYER)) for name in found.layers]
    for row in found.rows:
        entries = [row.entries[found.columns.index(name)] for name in found.layers]
        points = [(n, one) for n, one in zip(numbers, entries, strict=True) if one]
        if len(points) > 1:
            _estimates(panel, [n for n, _ in points], [one for _, one in points], row, colours)
    panel.set_xticks(numbers, ["stem" if n == 0 else f"block {n}" for n in numbers])
    panel.set(xlabel="layer", ylabel="test accuracy (%)")
    _legend(sheet)


def _estimates(
    panel: "Axes",
    x: Sequence[float],
    entries: Sequence[Estimate],
    row: Row,
    colours: Shades,
    dash: str = "-",
) -> None:
    """Means in percent with their intervals; controls are dashed."""
    colour, symbol = colours[row.paradigm, row.objective]
    means = 100 * np.array([one.mean for one in entries])
    bounds = 100 * np.array([one.bounds or (one.mean, one.mean) for one in entries])
    panel.errorbar(
        x, means, np.abs(bounds.T - means), color=colour, marker=MARKERS[symbol], markersize=5,
        linestyle="--" if row.paradigm == "control" else dash, linewidth=1.5, elinewidth=1,
        capsize=2, label=_plain(row.label),
    )  # fmt: skip


def _curves(
    runs: Sequence[Run],
    colours: Shades,
    what: curves.Measure,
    cost_at: Callable[[Run, Sequence[Any]], list[float] | None],
    sheet: "Sheet",
) -> None:
    """What is evaluated during pretraining, a thin line per seed, over FLOPs or seconds."""
    panel = sheet.subplots()
    for run in runs:
        found = (run.curves or {}).get(what.curve) or {}
        cost = cost_at(run, found["step"]) if found.get("step") else None
        if cost and what.name in found:
            values = what.scale * np.array(found[what.name])
            colour, name = colours[figures.key_of(run)][0], label(run.facts.objective)
            panel.plot(cost, values, color=colour, linewidth=1.3, alpha=0.85, label=_plain(name))
    is_clock = cost_at is curves.seconds_at
    panel.set(xlabel="seconds of pretraining" if is_clock else "training FLOPs", ylabel=what.title)
    if is_clock:
        panel.set_xlim(0)
    _legend(sheet)


def _losses(runs: Sequence[Run], colours: Shades, sheet: "Sheet") -> None:
    """Each objective's pretraining loss over FLOPs in a panel of its own scale."""
    drawn = [run for run in runs if ((run.curves or {}).get("terms") or {}).get("loss")]
    keys = list(dict.fromkeys(map(figures.key_of, drawn)))
    panels = dict(zip(keys, _panels(sheet, len(keys)), strict=True))
    for run in drawn:
        key, found = figures.key_of(run), run.curves or {}
        panels[key].plot(
            found["flops"], found["terms"]["loss"], color=colours[key][0], linewidth=1.2, alpha=0.85
        )
        panels[key].set_title(_plain(label(key[1])))


def _costs(runs: Sequence[Run], colours: Shades, sheet: "Sheet") -> None:
    """Bars of what each objective cost, mean over seeds."""
    trained = [run for run in runs if run.facts.paradigm != "control"]
    keys = list(dict.fromkeys(map(figures.key_of, trained)))[::-1]
    known = []
    for title, name, scale in figures.COSTS:
        means = [
            figures.mean_price([r for r in trained if figures.key_of(r) == key], name)
            for key in keys
        ]
        if any(mean is not None for mean in means):
            known.append((title, [scale * (mean or 0.0) for mean in means]))
    sheet.set_figheight(1.1 + 0.34 * len(keys))
    panels = sheet.subplots(1, len(known), sharey=True, squeeze=False)[0]
    names = [_plain(label(name)) for _, name in keys]
    for panel, (title, sizes) in zip(panels, known, strict=True):
        panel.barh(names, sizes, color=[colours[key][0] for key in keys], height=0.65)
        panel.grid(axis="y", visible=False)
        panel.set_title(title)


def _predictions(found: LabelFree, colours: Shades, sheet: "Sheet") -> None:
    """Accuracy against each diagnostic, a point per trained encoder."""
    panels = _panels(sheet, len(found.foretold), sharey=True)
    for panel, one in zip(panels, found.foretold, strict=True):
        panel.set_title(f"{label(one.metric)}: rho {one.rho:+.2f}")
        for way, value, accuracy in zip(one.names, one.values, one.accuracies, strict=True):
            colour, symbol = colours[way[0], way[1]]
            panel.plot(
                value, 100 * accuracy, color=colour, marker=MARKERS[symbol], linestyle="none",
                label=_plain(label(way[1])),
            )  # fmt: skip
    panels[0].set_ylabel("test accuracy (%)")
    _legend(sheet)


def _ranking(found: Sequence[Ranking], sheet: "Sheet") -> None:
    """Mean ranks with half of the critical difference to either side, by label fraction."""
    names = [rank.name for rank in found[-1].ranks][::-1]
    sheet.set_figheight(1.2 + 0.38 * len(names))
    panels = sheet.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for panel, one in zip(panels, found, strict=True):
        for rank in one.ranks:
            panel.errorbar(
                rank.mean, names.index(rank.name), xerr=one.critical / 2, marker="o",
                color=LIGHT[rank.paradigm][0], capsize=3,
            )  # fmt: skip
        panel.set_yticks(range(len(names)), names)
        panel.set_title(f"{fraction(one.fraction)} of the labels")
        panel.set_xlabel("mean rank (1 is best)")


def _likeness(found: LabelFree, sheet: "Sheet") -> None:
    assert found.likeness
    values = found.likeness.values
    _map(sheet, values, found.likeness.names, ("#f6efdc", "#a8d0c6", "#5ba3c0"), 1.0, "{:.2f}")


def _confusion(found: Confusion, at: int, sheet: "Sheet") -> None:
    one = found.objectives[at]
    form = "{:.0f}" if len(found.classes) <= 12 else ""
    _map(sheet, 100 * one.shares, found.classes, (GRID[0], LIGHT[one.paradigm][0]), 100.0, form)
    sheet.supxlabel("predicted class (rows: true class)", fontsize=9)


def _map(
    sheet: "Sheet",
    values: np.ndarray,
    names: Sequence[str],
    colours: Sequence[str],
    most: float,
    form: str,
) -> None:
    """A square map with the same names along both axes, each square with its number."""
    from matplotlib.colors import LinearSegmentedColormap

    size = 1.9 + 0.34 * max(len(names), 6)
    sheet.set_size_inches(size, size)
    panel = sheet.subplots()
    panel.grid(visible=False)
    scale = LinearSegmentedColormap.from_list("", colours)
    panel.pcolormesh(
        np.ma.masked_invalid(values), cmap=scale, vmin=0, vmax=most, edgecolors="white",
        linewidth=0.5,
    )  # fmt: skip
    places, shown = np.arange(len(names)) + 0.5, list(map(_plain, names))
    panel.set_xticks(places, shown, rotation=40, ha="right", rotation_mode="anchor")
    panel.set_yticks(places, shown)
    panel.invert_yaxis()
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            is_dark = np.dot(scale(value / most)[:3], (0.299, 0.587, 0.114)) < 0.5
            colour = "white" if is_dark else INK[0]
            text = form.format(value)
            panel.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour)


def _embedding(run: Run, sheet: "Sheet") -> None:
    """The last map of validation items, coloured by class."""
    found = run.snapshots or {}
    labels = np.array(found["label"], dtype=int)
    x, y = (np.array(found[axis][-1]) for axis in ("x", "y"))
    panel = sheet.subplots()
    panel.set_axis_off()
    for number, (name, colour) in zip(np.unique(labels), figures.classes(run), strict=True):
        mine = labels == number
        panel.plot(x[mine], y[mine], "o", markersize=3, color=colour, label=_plain(name))


def _panels(sheet: "Sheet", num: int, **settings: Any) -> list["Axes"]:
    """Panels in rows of three."""
    columns = min(3, num)
    rows = -(-num // columns)
    sheet.set_figheight(1.0 + 2.1 * rows)
    panels = sheet.subplots(rows, columns, squeeze=False, **settings).ravel()
    for panel in panels[num:]:
        panel.set_visible(False)
    return list(panels[:num])


def _legend(sheet: "Sheet") -> None:
    """One legend below all panels, each name once; none for a single name."""
    found: dict[str, Any] = {}
    for panel in sheet.axes:
        for handle, name in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    if len(found) > 1:
        sheet.legend(found.values(), found.keys(), loc="outside lower center", ncols=3)


def _plain(text: str) -> str:
    """A name as it is: matplotlib takes what stands between two dollars for a formula."""
    return str(text).replace("$", r"\$")
