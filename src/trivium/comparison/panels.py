"""What the opening shows of a run, look by look: what it confused, what it rebuilt, its map."""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from trivium.comparison.cutting import Samples, cut, laid_out, upto_change
from trivium.comparison.palette import CLASSES
from trivium.comparison.pictures import MAX_FRAMES, compressed, uri
from trivium.comparison.runs import Document, Picture, Run

MAX_TEXTS = 3
"""Samples of text that a panel shows."""
OTHERS = "others"


class Look(NamedTuple):
    """One step of a run: what it had cost, what is said of it, and what the page draws."""

    step: int
    flops: float | None
    note: str
    shown: Any


class Panel(NamedTuple):
    """One run over its looks, oldest first; `kind` says how the page draws `shared` and looks."""

    kind: str
    run: Run
    shared: dict[str, Any]
    looks: tuple[Look, ...]

    @property
    def drawing(self) -> dict[str, Any]:
        """What the page's script needs; pictures stand in the page itself."""
        looks = [] if self.kind == "pictures" else [look.shown for look in self.looks]
        return {"kind": self.kind, **self.shared, "looks": looks}


def confusion(run: Run) -> Panel | None:
    """Of each true class (row) the percentage called each class, by the online probe."""
    film = run.film or {}
    counts = film.get("confusion") or [None]
    if counts[0] is None:
        return None
    matrices = [np.array(one) for one in counts]
    shares = [100 * one / np.maximum(one.sum(1, keepdims=True), 1) for one in matrices]
    notes = [f"{100 * np.trace(one) / one.sum():.0f} % right" for one in matrices]
    shown = [one.round().astype(int).tolist() for one in shares]
    return Panel(
        "confusion", run, {"classes": film["classes"]}, _looks(run, film["step"], notes, shown)
    )


def embedding(run: Run) -> Panel | None:
    """Some validation samples on a map of the features, coloured by class."""
    film = run.film
    if not film or not film.get("x"):
        return None
    monitor = (run.curves or {}).get("monitor", {})
    right = dict(zip(monitor.get("step", ()), monitor.get("accuracy", ()), strict=False))
    notes = [f"{100 * right[s]:.0f} % right" if s in right else "" for s in film["step"]]
    numbers, legend = _coloured(film)
    shown = [{"x": x, "y": y} for x, y in zip(film["x"], film["y"], strict=True)]
    shared = {"class": numbers, "legend": legend}
    return Panel("map", run, shared, _looks(run, film["step"], notes, shown))


def rebuilt(run: Run) -> Panel | None:
    """Inputs, and what the objective made of them: as pictures, or as texts."""
    for sheets, panel in ((run.pictures, _pictures), (run.texts, _texts)):
        rows = [one for one in sheets if one.name.startswith("rows")]
        mine = [one for one in rows if one.name == rows[0].name]
        if len(mine) > 1:
            return panel(run, _thinned(mine))
    return None


SHOWN: dict[str, Callable[[Run], Panel | None]] = {
    "supervised": confusion,
    "unsupervised": rebuilt,
    "self_supervised": embedding,
}
"""What stands for each way of learning."""


def _pictures(run: Run, sheets: Sequence[Picture]) -> Panel:
    drawn = []
    for sheet in sheets:
        with Image.open(sheet.path) as one:
            drawn.append(np.asarray(one.convert("RGB")))
    frames = cut(drawn)
    kept = [frame[: upto_change(frames[0], frames[-1])] for frame in frames]
    is_image = "audio" not in run.facts.modality
    notes = [f"{100 * _error(one):.0f} % off" * is_image for one in kept]
    shown = [uri(compressed(laid_out(one))) for one in kept]
    shared = {"num_rows": len(kept[0])}
    return Panel("pictures", run, shared, _looks(run, [s.step for s in sheets], notes, shown))


def _error(samples: Samples) -> float:
    """Mean absolute difference of the last row from the first, as a share of full brightness."""
    return float(np.abs(samples[-1].astype(float) - samples[0]).mean() / 255)


def _texts(run: Run, sheets: Sequence[Picture]) -> Panel:
    read = [json.loads(sheet.path.read_text(encoding="utf-8")) for sheet in sheets]
    names = list(read[0])[: upto_change(list(read[0].values()), list(read[-1].values()))]
    shown = [[one[name][:MAX_TEXTS] for name in names] for one in read]
    looks = _looks(run, [sheet.step for sheet in sheets], [""] * len(sheets), shown)
    return Panel("texts", run, {"rows": names}, looks)


def _thinned(sheets: Sequence[Picture]) -> list[Picture]:
    """At most `MAX_FRAMES` of them, evenly, the first and the last among them."""
    chosen = np.linspace(0, len(sheets) - 1, min(len(sheets), MAX_FRAMES)).round().astype(int)
    return [sheets[at] for at in chosen]


def _looks(
    run: Run, steps: Sequence[int], notes: Sequence[str], shown: Sequence[Any]
) -> tuple[Look, ...]:
    each = (run.metrics or {}).get("flops_per_step")
    return tuple(
        Look(step, None if each is None else step * each, note, one)
        for step, note, one in zip(steps, notes, shown, strict=True)
    )


def _coloured(film: Document) -> tuple[list[int], list[tuple[str, str]]]:
    """Each sample's place in a legend of names and colours; rare classes share the last one."""
    labels = np.array(film["label"])
    names, colours = film["classes"], [*CLASSES]
    present, counts = np.unique(labels, return_counts=True)
    if len(present) > len(colours):
        most = np.argsort(-counts, kind="stable")[: len(colours) - 1]
        present = np.sort(present[most])
    places = {int(one): at for at, one in enumerate(present)}
    legend = [(str(names[one]), colour) for one, colour in zip(places, colours, strict=False)]
    if len(places) < len(np.unique(labels)):
        legend.append((OTHERS, colours[-1]))
    return [places.get(int(one), len(places)) for one in labels], legend
