"""Which classes are taken for which: what the speaker of each paradigm predicts of test items."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from trivium.colours import GRID, LIGHT, NAMES
from trivium.data.meta import Meta
from trivium.data.store import META
from trivium.report.cells import Cell, Scores
from trivium.report.figures import Figure, styled
from trivium.report.records import Measured, Prediction
from trivium.report.runs import best_by_validation
from trivium.report.tables import fraction, label, percent

QUESTION = "Which classes are taken for which?"
NOTE = (
    "Of each paradigm the objective with the best validation accuracy speaks, with what its probe "
    "predicted of the test items, mean over seeds. Rows are true classes, columns predicted ones, "
    "in percent of the row."
)
MOST_CLASSES = 40
"""Of more classes only the most confused pairs are shown: nobody could read the map."""
NUM_PAIRS = 12
"""Pairs that are shown."""
MOST_WRITTEN = 12
"""Classes of a map whose squares have room for a number."""


class Confused(NamedTuple):
    """One speaker: shares of each true class, and accuracy and F1 of each class, over its seeds."""

    paradigm: str
    objective: str
    encoder: str
    num_seeds: int
    shares: Float[np.ndarray, "true predicted"]
    accuracy: Float[np.ndarray, " class"]
    f1: Float[np.ndarray, " class"]

    @property
    def name(self) -> str:
        """Who it is."""
        return f"{NAMES[self.paradigm]} {label(self.objective)}"


class Pair(NamedTuple):
    """A true class, what it is taken for, and by which share of its items by each speaker."""

    true: str
    taken: str
    num_items: int
    shares: tuple[float, ...]


class Confusion(NamedTuple):
    """One task of one dataset under one probe: the speakers over the same classes."""

    probe: str
    fraction: float
    classes: tuple[str, ...]
    num_items: tuple[int, ...]
    speakers: tuple[Confused, ...]

    @property
    def is_drawn(self) -> bool:
        """Whether there are few enough classes for a map and a table of them all."""
        return len(self.classes) <= MOST_CLASSES

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The most confused pairs by the largest share that any speaker confuses, worst first."""
        shares = np.stack([one.shares for one in self.speakers])
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
    """What the speakers of one place confuse; None where no classes are predicted.

    Args:
        scores: those of the place.
        measured: its probe folders.
        names: of the classes; those without a name are called by their number.
    """
    found = best_by_validation(scores)
    if not found:
        return None
    folders = {one.cell: [o for o in measured if _is_of(o, one.cell)] for one in found}
    every = [o.labels for mine in folders.values() for o in mine]
    every += [array for cell, mine in folders.items() for array, _ in _predicted(cell, mine)]
    classes = np.unique(np.concatenate(every))
    labels = measured[0].labels
    return Confusion(
        found[0].cell.probe,
        found[0].cell.fraction,
        tuple(names[at] if at < len(names) else f"class {at}" for at in classes),
        tuple(int((labels == at).sum()) for at in classes),
        tuple(_confused(cell, mine, classes) for cell, mine in folders.items()),
    )


def drawn(found: Confusion | None) -> dict[str, Figure]:
    """A map of each speaker, by the name of its figure."""
    if found is None or not found.is_drawn:
        return {}
    return {f"confusion-{one.paradigm}": _map(found, one) for one in found.speakers}


def markdown(found: Confusion) -> str:
    """The most confused pairs in Markdown."""
    heads = [f"{one.name} (%)" for one in found.speakers]
    lines = [f"| class | taken for | test items | {' | '.join(heads)} |"]
    lines.append("|" + "-|" * (3 + len(heads)))
    for pair in found.pairs:
        shares = " | ".join(percent(share) for share in pair.shares)
        lines.append(f"| {pair.true} | {pair.taken} | {pair.num_items} | {shares} |")
    probe = f"{label(found.probe)} probe with {fraction(found.fraction)} of the labels"
    return "\n".join([f"{probe}: shares of a class's test items.", "", *lines])


def _is_of(one: Measured, cell: Cell) -> bool:
    facts = one.facts
    return (facts.paradigm, facts.objective, facts.encoder) == (
        cell.paradigm,
        cell.objective,
        cell.encoder,
    )


def _predicted(
    cell: Cell, mine: Sequence[Measured]
) -> list[tuple[Integer[np.ndarray, " item"], Integer[np.ndarray, " item"]]]:
    """Predictions and labels of each seed and label draw."""
    return [
        (array, one.labels)
        for one in mine
        for key, array in one.predictions.items()
        if key == Prediction(cell.probe, cell.fraction, key.draw)
    ]


def _confused(
    cell: Cell, mine: Sequence[Measured], classes: Integer[np.ndarray, " class"]
) -> Confused:
    shares, accuracies, scores = [], [], []
    for predicted, labels in _predicted(cell, mine):
        shares.append(confusion_matrix(labels, predicted, labels=classes, normalize="true"))
        _, accuracy, f1, _ = precision_recall_fscore_support(
            labels, predicted, labels=classes, zero_division=0
        )
        accuracies.append(accuracy)
        scores.append(f1)
    means = [np.mean(one, axis=0) for one in (shares, accuracies, scores)]
    return Confused(cell.paradigm, cell.objective, cell.encoder, len(mine), *means)


def _map(found: Confusion, one: Confused) -> Figure:
    """A square of shares in the speaker's colour, the true class downwards."""
    import plotly.graph_objects as go

    names = _apart(found.classes)
    values = np.round(100 * one.shares, 1).tolist()
    is_written = len(names) <= MOST_WRITTEN
    texts = [[f"{value:.0f}" if value >= 0.5 else "" for value in row] for row in values]
    figure = go.Figure(
        go.Heatmap(
            z=values, x=names, y=names, zmin=0, zmax=100, showscale=False, xgap=1, ygap=1,
            colorscale=[[0, GRID[0]], [1, LIGHT[one.paradigm][0]]],
            text=texts if is_written else None, texttemplate="%{text}" if is_written else None,
            hovertemplate="%{y}, taken for %{x}: %{z:.1f} %<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", dtick=1)
    figure.update_xaxes(title="predicted class (rows: true class)", tickangle=-40, dtick=1)
    return styled(figure, height=190 + 22 * max(len(names), 6))


def _apart(names: Sequence[str]) -> list[str]:
    """Names short enough for an axis, with a number where two would be the same."""
    short = [name if len(name) <= 22 else f"{name[:21]}…" for name in names]
    return [
        name if short.count(name) == 1 else f"{name} ({at + 1})" for at, name in enumerate(short)
    ]
