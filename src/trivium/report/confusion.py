"""Which classes are taken for which by the best objective of each paradigm, on test items."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Integer
from sklearn.metrics import confusion_matrix, f1_score

from trivium.colours import GRID, LIGHT, NAMES
from trivium.data.meta import Meta
from trivium.data.store import META
from trivium.report.cells import Cell, Scores
from trivium.report.figures import Figure, heatmap, styled
from trivium.report.records import Measured
from trivium.report.runs import best_by_validation
from trivium.report.tables import label

QUESTION = "Which classes are taken for which?"
NOTE = (
    "Of each paradigm the objective with the best validation accuracy, and what its probe predicts "
    "of the test items, mean over seeds. Rows are true classes, columns predicted ones, in percent "
    "of the row."
)
MOST_CLASSES = 40
"""Of more classes only the most confused pairs are shown: a map of more cannot be read."""
NUM_PAIRS = 12
"""Pairs that are shown."""
MOST_WRITTEN = 12
"""Classes of a map whose squares have room for a number."""


class PerClass(NamedTuple):
    """One objective: shares of each true class, accuracy and F1 of each class; means of seeds."""

    paradigm: str
    objective: str
    encoder: str
    num_seeds: int
    shares: Float[np.ndarray, "true predicted"]
    f1: Float[np.ndarray, " class"]

    @property
    def accuracy(self) -> Float[np.ndarray, " class"]:
        """The share of each class's items that are predicted right: its recall."""
        return np.diag(self.shares)

    @property
    def name(self) -> str:
        """Paradigm and objective."""
        return f"{NAMES[self.paradigm]} {label(self.objective)}"


class Pair(NamedTuple):
    """A true class, what it is taken for, and the share of its items that each objective does."""

    true: str
    taken: str
    num_items: int
    shares: tuple[float, ...]


class Confusion(NamedTuple):
    """One task of one dataset under one probe: the objectives over the same classes."""

    probe: str
    fraction: float
    classes: tuple[str, ...]
    num_items: tuple[int, ...]
    objectives: tuple[PerClass, ...]

    @property
    def is_drawn(self) -> bool:
        """Whether there are few enough classes for a map and a table of them all."""
        return len(self.classes) <= MOST_CLASSES

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The most confused pairs by the largest share that any objective confuses, worst first."""
        shares = np.stack([one.shares for one in self.objectives])
        worst = shares.max(0)
        np.fill_diagonal(worst, 0)
        order = np.argsort(-worst, axis=None, kind="stable")[:NUM_PAIRS]
        places = [divmod(int(at), len(self.classes)) for at in order if worst.flat[at] > 0]
        return tuple(
            Pair(self.classes[a], self.classes[b], self.num_items[a], tuple(shares[:, a, b]))
            for a, b in places
        )


def class_names(stores: Path | None, dataset: str, task: str) -> tuple[str, ...]:
    """What a dataset's store calls the classes of a task; nothing where there is no such store."""
    path = stores / dataset / META if stores else None
    if path is None or not path.is_file():
        return ()
    return tuple(Meta.from_json(path.read_text(encoding="utf-8")).tasks.get(task, ()))


def confused(
    scores: Sequence[Scores], measured: Sequence[Measured], names: Sequence[str]
) -> Confusion | None:
    """What the best objectives of one place confuse; None where no classes are predicted.

    Args:
        scores: those of the place.
        measured: its probe folders.
        names: of the classes; those without a name are called by their number.
    """
    found = best_by_validation(scores)
    if not found:
        return None
    arrays = [array for one in found for pair in _predicted(one.cell, measured) for array in pair]
    classes = np.unique(np.concatenate(arrays))
    labels = measured[0].labels
    return Confusion(
        found[0].cell.probe,
        found[0].cell.fraction,
        tuple(names[at] if at < len(names) else f"class {at}" for at in classes),
        tuple(int((labels == at).sum()) for at in classes),
        tuple(_per_class(one, measured, classes) for one in found),
    )


def drawn(found: Confusion | None) -> dict[str, Figure]:
    """A map of each objective, by the name of its figure."""
    if found is None or not found.is_drawn:
        return {}
    return {f"confusion-{one.paradigm}": _map(found, one) for one in found.objectives}


def _predicted(
    cell: Cell, measured: Sequence[Measured]
) -> list[tuple[Integer[np.ndarray, " item"], Integer[np.ndarray, " item"]]]:
    """Labels and predictions of each seed and label draw."""
    return [
        (one.labels, array)
        for one in measured
        if one.facts[3:6] == (cell.paradigm, cell.objective, cell.encoder)
        for key, array in one.predictions.items()
        if (key.probe, key.fraction) == (cell.probe, cell.fraction)
    ]


def _per_class(
    best: Scores, measured: Sequence[Measured], classes: Integer[np.ndarray, " class"]
) -> PerClass:
    predicted = _predicted(best.cell, measured)
    shares = [confusion_matrix(*one, labels=classes, normalize="true") for one in predicted]
    f1 = [f1_score(*one, labels=classes, average=None, zero_division=0) for one in predicted]
    cell = best.cell
    means = (np.mean(shares, axis=0), np.mean(f1, axis=0))
    return PerClass(cell.paradigm, cell.objective, cell.encoder, len(best.seeds), *means)


def _map(found: Confusion, one: PerClass) -> Figure:
    """A square of shares in the paradigm's colour, the true class downwards."""
    values = np.round(100 * one.shares, 1).tolist()
    written: dict[str, Any] = {}
    if len(found.classes) <= MOST_WRITTEN:
        texts = [[f"{value:.0f}" if value >= 0.5 else "" for value in row] for row in values]
        written = {"text": texts, "texttemplate": "%{text}"}
    trace = {
        "z": values, "zmin": 0, "zmax": 100, **written,
        "colorscale": [[0, GRID[0]], [1, LIGHT[one.paradigm][0]]],
        "hovertemplate": "%{y}, taken for %{x}: %{z:.1f} %<extra></extra>",
    }  # fmt: skip
    figure = heatmap(trace, found.classes)
    figure.update_xaxes(title="predicted class (rows: true class)")
    return styled(figure, height=190 + 22 * max(len(found.classes), 6))
