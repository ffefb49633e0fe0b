"""How encoders learn: one run of each paradigm, step by step."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from trivium.colours import CLASSES
from trivium.report.cells import Scores
from trivium.report.media import data_uri, thinned, webp
from trivium.report.runs import Document, Run, Sample
from trivium.types import MODALITIES

MAX_TEXTS = 3
"""Samples of text that a panel shows."""
GAP, WIDE_GAP = 4, 18
"""Pixels between samples, and between lines of them."""
SMALL = 32
"""Samples of at most so many pixels are enlarged twofold."""
OTHERS = "others"
QUESTION = "How do models learn?"
NOTE = (
    "Of each way of learning the objective with the best validation accuracy is shown, of those "
    "that left what its panel needs, and of it the first seed; of the datasets the one that fills "
    "the most panels, pictures before texts before sounds, and where these objectives are right "
    "most often. This is an illustration: the tables are the examination. In the matrix the "
    "strength of a colour is the square root of a share, so that rare mistakes are seen. The map "
    "is the plane of the two first principal components of the features at each step, at one size, "
    "turned to lie as near as possible to that of the next (orthogonal Procrustes)."
)

Samples = UInt8[np.ndarray, "row column height width 3"]


class Snapshot(NamedTuple):
    """One step of a run: what it had cost, what is said of it, and what the page draws."""

    step: int
    flops: float | None
    note: str
    shown: Any


class Panel(NamedTuple):
    """Snapshots of one run, oldest first; `kind` says how the page draws them and `shared`."""

    kind: str
    run: Run
    shared: dict[str, Any]
    snapshots: tuple[Snapshot, ...]

    @property
    def drawing(self) -> dict[str, Any]:
        """What the page's script needs; pictures stand in the page itself."""
        shown = [] if self.kind == "pictures" else [one.shown for one in self.snapshots]
        return {"kind": self.kind, **self.shared, "snapshots": shown}


class Animation(NamedTuple):
    """A panel for each way of learning that has one, all on one dataset."""

    dataset: str
    panels: tuple[Panel, ...]

    @property
    def drawing(self) -> dict[str, Any]:
        """What the page's script needs."""
        return {"panels": [panel.drawing for panel in self.panels]}


Known = dict[tuple[str, ...], float]
"""Validation accuracy by dataset, modality, objective and encoder."""


def animation(scores: Sequence[Scores], runs: Sequence[Run]) -> Animation | None:
    """The panels of the dataset that suits best, by the rule of `NOTE`; None if there are none."""
    known = _validated(scores)
    found: list[tuple[tuple[float, ...], Animation]] = []
    for dataset, modality in dict.fromkeys((run.facts.dataset, run.facts.modality) for run in runs):
        mine = [
            run for run in runs if (run.facts.dataset, run.facts.modality) == (dataset, modality)
        ]
        panels = tuple(panel for way in PANELS if (panel := _panel(way, mine, known)))
        if panels:
            parts = modality.split("+")
            accuracy = fmean(known.get(_key(panel.run), 0.0) for panel in panels)
            order = -[*map(str, MODALITIES)].index(parts[0])
            found.append(((len(panels), -len(parts), order, accuracy), Animation(dataset, panels)))
    return max(found, key=lambda one: one[0])[1] if found else None


def _panel(paradigm: str, runs: Sequence[Run], known: Known) -> Panel | None:
    """That of the best run of a paradigm that has what its panel needs."""
    ranked = sorted(
        (run for run in runs if run.facts.paradigm == paradigm),
        key=lambda run: (-known.get(_key(run), 0.0), run.facts[4:7]),
    )
    return next((panel for run in ranked if (panel := PANELS[paradigm](run))), None)


def _validated(scores: Sequence[Scores]) -> Known:
    """Of each encoder the linear probe's (or the first one's) accuracy with the most labels."""
    found: dict[tuple[str, ...], tuple[tuple[bool, float], float]] = {}
    for one in scores:
        cell = one.cell
        if (cell.metric, cell.split) == ("accuracy", "validation"):
            key = (cell.dataset, cell.modality, cell.objective, cell.encoder)
            rank = (cell.probe == "linear", cell.fraction)
            if key not in found or rank > found[key][0]:
                found[key] = (rank, one.interval.mean)
    return {key: mean for key, (_, mean) in found.items()}


def _key(run: Run) -> tuple[str, ...]:
    return (run.facts.dataset, run.facts.modality, run.facts.objective, run.facts.encoder)


def confusion(run: Run) -> Panel | None:
    """Of each true class (row) the percentage called each class, by the online probe."""
    found = run.snapshots or {}
    counts = found.get("confusion") or [None]
    if counts[0] is None:
        return None
    matrices = [np.array(one) for one in counts]
    shares = [100 * one / np.maximum(one.sum(1, keepdims=True), 1) for one in matrices]
    notes = [f"{100 * np.trace(one) / one.sum():.0f} % right" for one in matrices]
    shown = [one.round().astype(int).tolist() for one in shares]
    shared = {"classes": found["classes"]}
    return Panel("confusion", run, shared, _snapshots(run, found["step"], notes, shown))


def embedding(run: Run) -> Panel | None:
    """Some validation samples on a map of the features, coloured by class."""
    found = run.snapshots
    if not found or not found.get("x"):
        return None
    monitor = (run.curves or {}).get("monitor", {})
    right = dict(zip(monitor.get("step", ()), monitor.get("accuracy", ()), strict=False))
    notes = [f"{100 * right[s]:.0f} % right" if s in right else "" for s in found["step"]]
    numbers, legend = _coloured(found)
    shown = [{"x": x, "y": y} for x, y in zip(found["x"], found["y"], strict=True)]
    shared = {"class": numbers, "legend": legend}
    return Panel("map", run, shared, _snapshots(run, found["step"], notes, shown))


def reconstruction(run: Run) -> Panel | None:
    """Inputs, and what the objective makes of them: as pictures, or as texts."""
    for samples, panel in ((run.tiles, _pictures), (run.texts, _texts)):
        rows = [one for one in samples if one.name.startswith("rows")]
        mine = [one for one in rows if one.name == rows[0].name]
        if len(mine) > 1:
            return panel(run, thinned(mine))
    return None


PANELS: dict[str, Callable[[Run], Panel | None]] = {
    "supervised": confusion,
    "unsupervised": reconstruction,
    "self_supervised": embedding,
}
"""What is shown of each way of learning."""


def _pictures(run: Run, files: Sequence[Sample]) -> Panel:
    read = []
    for file in files:
        with np.load(file.path) as rows:
            num_columns = min(len(rows[name]) for name in rows.files)
            read.append(np.stack([rows[name][:num_columns] for name in rows.files]))
    kept = [one[: num_rows_to_change(read[0], read[-1])] for one in read]
    is_image = "audio" not in run.facts.modality
    notes = [f"{100 * _error(one):.0f} % off" * is_image for one in kept]
    shown = [data_uri(webp(laid_out(one))) for one in kept]
    shared = {"num_rows": len(kept[0])}
    return Panel("pictures", run, shared, _snapshots(run, _steps(files), notes, shown))


def _texts(run: Run, files: Sequence[Sample]) -> Panel:
    read = [json.loads(file.path.read_text(encoding="utf-8")) for file in files]
    num_rows = num_rows_to_change(read[0].values(), read[-1].values())
    names = list(read[0])[:num_rows]
    shown = [[one[name][:MAX_TEXTS] for name in names] for one in read]
    snapshots = _snapshots(run, _steps(files), [""] * len(files), shown)
    return Panel("texts", run, {"rows": names}, snapshots)


def num_rows_to_change(first: Iterable[Any], last: Iterable[Any]) -> int:
    """How many rows to show: what training does not change, and the first row that it does."""
    same = [np.array_equal(*pair) for pair in zip(first, last, strict=True)]
    return same.index(False) + 1 if False in same else len(same)


def laid_out(samples: Samples) -> Image.Image:
    """A grid of samples on a clear ground, their columns in full lines, about a square.

    Columns that would not fill a line may be left out.
    """
    import torch
    from torchvision.utils import make_grid

    if max(samples.shape[2:4]) <= SMALL:
        samples = samples.repeat(2, axis=2).repeat(2, axis=3)
    num_rows, num_columns, height, width, _ = samples.shape
    across = min(
        range(num_columns, 0, -1),
        key=lambda num: _distance(num, num_columns, width / (num_rows * height)),
    )
    num_lines = num_columns // across
    opaque = np.pad(samples, [(0, 0)] * 4 + [(0, 1)], constant_values=255)
    tiles = torch.from_numpy(opaque[:, : num_lines * across]).permute(0, 1, 4, 2, 3)
    lines = tiles.reshape(-1, num_lines, across, *tiles.shape[2:]).transpose(0, 1)
    blocks = [make_grid(line.flatten(0, 1), nrow=across, padding=GAP) for line in lines]
    stacked = make_grid(blocks, nrow=1, padding=WIDE_GAP - GAP)
    return Image.fromarray(stacked.permute(1, 2, 0).numpy(), "RGBA")


def _distance(across: int, num_columns: int, shape: float) -> float:
    """How far lines of so many columns are from a square, and how much is left out."""
    num_lines = num_columns // across
    left_out = 1 - num_lines * across / num_columns
    return abs(math.log(shape * across / num_lines)) + 2 * left_out


def _error(samples: Samples) -> float:
    """Mean absolute difference of the last row from the first, as a share of full brightness."""
    return float(np.abs(samples[-1].astype(float) - samples[0]).mean() / 255)


def _steps(files: Sequence[Sample]) -> list[int]:
    return [file.step for file in files]


def _snapshots(
    run: Run, steps: Sequence[int], notes: Sequence[str], shown: Sequence[Any]
) -> tuple[Snapshot, ...]:
    each = (run.metrics or {}).get("flops_per_step")
    return tuple(
        Snapshot(step, None if each is None else step * each, note, one)
        for step, note, one in zip(steps, notes, shown, strict=True)
    )


def _coloured(found: Document) -> tuple[list[int], list[tuple[str, str]]]:
    """Each sample's place in a legend of names and colours; rare classes share the last one."""
    labels = np.array(found["label"])
    names, colours = found["classes"], [*CLASSES]
    present, counts = np.unique(labels, return_counts=True)
    if len(present) > len(colours):
        most = np.argsort(-counts, kind="stable")[: len(colours) - 1]
        present = np.sort(present[most])
    places = {int(one): at for at, one in enumerate(present)}
    legend = [(str(names[one]), colour) for one, colour in zip(places, colours, strict=False)]
    if len(places) < len(np.unique(labels)):
        legend.append((OTHERS, colours[-1]))
    return [places.get(int(one), len(places)) for one in labels], legend
