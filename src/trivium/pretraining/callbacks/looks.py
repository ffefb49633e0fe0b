"""The film of a run: what was confused, and where samples stood, at each look."""

from typing import Any

import numpy as np
from jaxtyping import Float

from trivium.pretraining.callbacks.after_look import AfterLook
from trivium.pretraining.callbacks.online_probe import OnlineProbe
from trivium.pretraining.drawing import project, spread
from trivium.pretraining.module import Pretraining
from trivium.pretraining.price import Price

NUM_MAPPED = 300
"""Validation items that a map shows."""
MOST_CLASSES = 30
"""Of more classes no confusion is kept: nobody could read it."""


class Looks(AfterLook):
    """Keeps a map of some validation features and the online probe's confusion, look by look.

    The map is the plane of the two first principal components of that look's features, at unit
    root mean square distance from its centre. The confusion counts the same probe's predictions
    of all its validation items: rows are true classes, columns predicted ones. Both are part of
    the checkpoint, so a resumed run keeps them. Without labels nothing is kept.
    """

    def __init__(self, *, probe: OnlineProbe, price: Price) -> None:
        super().__init__(probe)
        self.price = price
        self.looks: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far."""
        return {"looks": list(self.looks)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.looks = state_dict["looks"]

    def act(self, pl_module: Pretraining, step: int) -> None:
        """Keep a look."""
        features, predicted, task = self.probe.features, self.probe.predicted, self.probe.task
        if features is None or predicted is None or task is None:
            return
        labels = self.probe.store.labels(task)[self.probe.validation]
        num_classes = len(self.probe.store.meta.tasks[task])
        confusion = None
        if num_classes <= MOST_CLASSES:
            counts = np.zeros((num_classes, num_classes), dtype=np.int64)
            np.add.at(counts, (labels, predicted), 1)
            confusion = counts.tolist()
        # A store may be sorted by class: take items from everywhere.
        points = unit(project(features[spread(len(features), NUM_MAPPED)]))
        self.looks.append({"step": step, "confusion": confusion, "points": points.tolist()})

    def film(self) -> dict[str, Any] | None:
        """Steps and FLOPs of the looks, x and y of the mapped items at each, their labels.

        Each map is turned (and mirrored) so that it lies as near as possible to the next one: a
        principal component has no sign, and two that are about as long may change places.
        """
        task = self.probe.task
        if not self.looks or task is None:
            return None
        maps = turned([np.array(look["points"]) for look in self.looks])
        chosen = self.probe.validation[spread(len(self.probe.validation), NUM_MAPPED)]
        steps = [look["step"] for look in self.looks]
        return {
            "step": steps,
            "flops": [self.price.upto(step) for step in steps],
            "x": [np.round(points[:, 0], 3).tolist() for points in maps],
            "y": [np.round(points[:, 1], 3).tolist() for points in maps],
            "confusion": [look["confusion"] for look in self.looks],
            "label": self.probe.store.labels(task)[chosen].tolist(),
            "classes": list(self.probe.store.meta.tasks[task]),
        }


def unit(points: Float[np.ndarray, "item 2"]) -> Float[np.ndarray, "item 2"]:
    """Centred points at unit root mean square distance from the centre; all equal ones stay."""
    centred = points.astype(np.float64) - points.mean(0)
    radius = float(np.sqrt((centred**2).sum(1).mean()))
    scaled: np.ndarray = centred / radius if radius > 0 else centred
    return scaled


def turned(
    maps: list[Float[np.ndarray, "item 2"]],
) -> list[Float[np.ndarray, "item 2"]]:
    """Maps of the same items, each turned onto the next by the orthogonal Procrustes problem.

    Schönemann 1966, doi 10.1007/BF02289451; the last one stays as it is.
    """
    from scipy.linalg import orthogonal_procrustes

    found = [maps[-1]]
    for points in reversed(maps[:-1]):
        rotation, _ = orthogonal_procrustes(points, found[0])
        found.insert(0, points @ rotation)
    return found
