"""Curves of what was measured during pretraining, and of accuracy over layers."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from trivium.colours import Shades
from trivium.report.figures import Figure, estimates, key_of, panels, styled
from trivium.report.runs import Run
from trivium.report.sensitivity import LAYER, Sensitivity
from trivium.report.tables import label

HEIGHT = 440


class Measure(NamedTuple):
    """A quantity that is evaluated during pretraining: its place in `curves.json`, its units."""

    curve: str
    name: str
    title: str
    scale: int
    hover: str


MONITOR = Measure(
    "monitor", "accuracy", "online monitor, validation accuracy (%)", 100, "%{y:.1f} %"
)
LANGUAGE = Measure(
    "language", "bits_per_byte", "validation text, bits per byte", 1, "%{y:.3f} bits per byte"
)


def monitor(runs: Sequence[Run], colours: Shades) -> Figure | None:
    """The online probe's validation accuracy against training FLOPs, a thin line per seed."""
    return _drawn(measured(runs, colours, MONITOR), MONITOR)


def language(runs: Sequence[Run], colours: Shades) -> Figure | None:
    """Language models' bits per byte of validation text against training FLOPs."""
    return _drawn(measured(runs, colours, LANGUAGE), LANGUAGE)


def clock(runs: Sequence[Run], colours: Shades) -> Figure | None:
    """The online probe's validation accuracy against the seconds of pretraining."""
    lines = measured(runs, colours, MONITOR, price_at=seconds_at, price="%{x:.1f} s")
    title = "seconds of pretraining on this machine"
    return _drawn(lines, MONITOR, title=title, rangemode="tozero")


def measured(
    runs: Sequence[Run],
    colours: Shades,
    what: Measure,
    *,
    price_at: Callable[[Run, Sequence[Any]], list[float] | None] | None = None,
    price: str = "%{x:.3s} FLOPs",
) -> list[dict[str, Any]]:
    """A thin line per seed against a price of each evaluation, training FLOPs if none is given."""
    traces = []
    for run in runs:
        found = (run.curves or {}).get(what.curve) or {}
        paid = (price_at or flops_at)(run, found["step"]) if found.get("step") else None
        if paid and what.name in found:
            name = label(run.facts.objective)
            line = {
                "x": paid, "y": [what.scale * value for value in found[what.name]], "name": name,
                "mode": "lines", "line": {"color": colours[key_of(run)][0], "width": 1.8},
                "opacity": 0.85,
                "hovertemplate": f"{name}, seed {run.facts.seed}: {what.hover}<br>{price}"
                "<extra></extra>",
            }  # fmt: skip
            traces.append(line)
    return traces


def _drawn(
    lines: Sequence[dict[str, Any]], what: Measure, *, title: str = "training FLOPs", **axis: Any
) -> Figure | None:
    if not lines:
        return None
    figure = panels([("", line) for line in lines])
    figure.update_xaxes(title=title, exponentformat="power", **axis)
    figure.update_yaxes(title=what.title)
    return styled(figure, height=HEIGHT)


def losses(runs: Sequence[Run], colours: Shades) -> Figure | None:
    """Each objective's pretraining loss against FLOPs in a panel of its own scale."""
    traces = []
    for run in runs:
        curves = run.curves or {}
        loss = (curves.get("terms") or {}).get("loss")
        if loss:
            line = {
                "x": _short(curves["flops"]), "y": _short(loss), "mode": "lines", "opacity": 0.85,
                "line": {"color": colours[key_of(run)][0], "width": 1.6},
                "hovertemplate": f"seed {run.facts.seed}: %{{y:.4g}}<br>%{{x:.3s}} FLOPs"
                "<extra></extra>",
            }  # fmt: skip
            traces.append((label(run.facts.objective), line))
    if not traces:
        return None
    figure = panels(traces, spacing=0.08)
    figure.update_xaxes(exponentformat="power", nticks=4)
    num_rows = -(-len({title for title, _ in traces}) // 3)
    return styled(figure, height=80 + 210 * num_rows)


def flops_at(run: Run, steps: Sequence[Any]) -> list[float]:
    """Training FLOPs at steps, between those of the curves in proportion to the steps."""
    curves = run.curves or {}
    if curves.get("step") and curves["step"][-1]:
        known, spent = [0, *curves["step"]], [0, *curves["flops"]]
        return [float(value) for value in np.interp(steps, known, spent)]
    each = float((run.metrics or {}).get("flops_per_step") or 1.0)
    return [step * each for step in steps]


def seconds_at(run: Run, steps: Sequence[Any]) -> list[float] | None:
    """Seconds of pretraining at steps, in proportion to their FLOPs; None if they are unknown."""
    seconds = (run.cost or {}).get("seconds")
    total = float((run.metrics or {}).get("flops") or run.facts.flops)
    if seconds is None or not total:
        return None
    return [float(seconds) * flops / total for flops in flops_at(run, steps)]


def _short(values: Sequence[float]) -> list[float]:
    """Five digits of each: the page has many of them."""
    return [float(f"{value:.5g}") for value in values]


def by_layer(found: Sensitivity, colours: Shades) -> Figure | None:
    """A line for each objective over its layers, with intervals; controls are dashed."""
    numbers = [int(name.removeprefix(LAYER)) for name in found.layers]
    traces: list[tuple[str, dict[str, Any]]] = []
    for row in found.rows:
        points = [
            (number + 0.012 * len(traces), entry)
            for number, name in zip(numbers, found.layers, strict=True)
            if (entry := row.entries[found.columns.index(name)])
        ]
        if len(points) > 1:
            x, entries = zip(*points, strict=True)
            shade = colours[row.paradigm, row.objective]
            traces.append(("", estimates(x, entries, row, shade, "solid")))
    if not traces:
        return None
    figure = panels(traces)
    figure.update_xaxes(
        title="layer", tickvals=numbers,
        ticktext=["stem" if number == 0 else f"block {number}" for number in numbers],
    )  # fmt: skip
    figure.update_yaxes(title="test accuracy (%)")
    return styled(figure, height=HEIGHT)
