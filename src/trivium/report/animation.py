"""How models learn: one run of each paradigm, step by step."""

import json
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from trivium.colours import CLASSES
from trivium.report.cells import Scores
from trivium.report.media import MAX_FRAMES, Samples, compressed, cut, laid_out, upto_change, uri
from trivium.report.runs import Document, Picture, Run
from trivium.types import MODALITIES

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


ORDER = tuple(map(str, MODALITIES))
QUESTION = "How do models learn?"
NOTE = (
    "Of each way of learning the objective with the best validation accuracy is shown, of those "
    "that left what its panel needs, and of it the first seed; of the datasets the one that fills "
    "the most panels, pictures before texts before sounds, and where these objectives are right "
    "most often. This is an illustration: the tables below are the examination. In the matrix the "
    "strength of a colour is the square root of a share, so that rare mistakes are seen. The map "
    "is the plane of the two first principal components of a look's features, at one size, turned "
    "to lie as near as possible to the next look's (orthogonal Procrustes)."
)


class Animation(NamedTuple):
    """A panel for each way of learning that left something to look at, all on one dataset."""

    dataset: str
    panels: tuple[Panel, ...]

    @property
    def drawing(self) -> dict[str, Any]:
        """What the page's script needs."""
        return {"panels": [panel.drawing for panel in self.panels]}


class _Candidate(NamedTuple):
    """What could open the page; `accuracy` is the mean of validation over the panels' runs."""

    animation: Animation
    modality: str
    accuracy: float


def animation(scores: Sequence[Scores], runs: Sequence[Run]) -> Animation | None:
    """The panels of the dataset that suits best, by the rule of `NOTE`; None if there are none."""
    known = _validated(scores)
    places = dict.fromkeys((run.facts.dataset, run.facts.modality) for run in runs)
    found = [_candidate(*place, runs, known) for place in places]
    best = max((one for one in found if one.animation.panels), key=_suits, default=None)
    return best.animation if best else None


Known = dict[tuple[str, str, str, str], float]
"""Validation accuracy by dataset, modality, objective and encoder."""


def _candidate(dataset: str, modality: str, runs: Sequence[Run], known: Known) -> _Candidate:
    panels, right = [], []
    for paradigm, panel_of in SHOWN.items():
        mine = [
            run
            for run in runs
            if (run.facts.dataset, run.facts.modality, run.facts.paradigm)
            == (dataset, modality, paradigm)
        ]
        ranked = sorted(mine, key=lambda run: (-known.get(_key(run), 0.0), _order(run)))
        panel = next((panel for run in ranked if (panel := panel_of(run))), None)
        if panel:
            panels.append(panel)
            right.append(known.get(_key(panel.run), 0.0))
    return _Candidate(Animation(dataset, tuple(panels)), modality, fmean(right or [0.0]))


def _validated(scores: Sequence[Scores]) -> Known:
    """Of each way the linear probe's (or the first one's) accuracy with the most labels."""
    found: dict[tuple[str, str, str, str], tuple[tuple[object, ...], float]] = {}
    for one in scores:
        cell = one.cell
        if (cell.metric, cell.split) == ("accuracy", "validation"):
            key = (cell.dataset, cell.modality, cell.objective, cell.encoder)
            rank = (cell.probe == "linear", cell.fraction)
            if key not in found or rank > found[key][0]:
                found[key] = (rank, one.interval.mean)
    return {key: mean for key, (_, mean) in found.items()}


def _key(run: Run) -> tuple[str, str, str, str]:
    return (run.facts.dataset, run.facts.modality, run.facts.objective, run.facts.encoder)


def _order(run: Run) -> tuple[str, str, int]:
    return (run.facts.objective, run.facts.encoder, run.facts.seed)


def _suits(one: _Candidate) -> tuple[float, ...]:
    parts = one.modality.split("+")
    return (len(one.animation.panels), -len(parts), -ORDER.index(parts[0]), one.accuracy)
