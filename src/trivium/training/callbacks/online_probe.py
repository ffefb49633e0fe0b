"""A probe while the encoder learns, and snapshots of what it confuses."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import pytorch_lightning as lightning
from jaxtyping import Float
from scipy.linalg import orthogonal_procrustes
from sklearn.metrics import confusion_matrix

from trivium.data.store import Store
from trivium.evaluation.knn import KNNProbe
from trivium.evaluation.representation import rankme
from trivium.features import embed
from trivium.tracking import names
from trivium.tracking.writer import RunWriter
from trivium.training.budget import StepCost
from trivium.training.module import TrainingModule
from trivium.training.samples import project, spread

NUM_MAPPED = 300
"""Validation items that a map shows."""
MOST_CLASSES = 30
"""Of more classes no confusion is kept: nobody could read it."""


class SnapshotCallback(lightning.Callback, ABC):
    """Acts whenever the online probe has measured."""

    @abstractmethod
    def on_snapshot(self, module: TrainingModule, step: int) -> None:
        """What to do at a step at which the probe has measured."""


class OnlineProbe(lightning.Callback):
    """k-nearest-neighbour accuracy on validation items, and RankMe, at a few steps.

    Works on frozen features outside of the training graph: nothing of it reaches the objective, and
    nothing of it enters a result table. Its time and FLOPs are not counted as training. Without
    labels only RankMe is measured.
    """

    def __init__(
        self,
        *,
        store: Store,
        task: str | None,
        num_items: int,
        num_glances: int,
        seed: int,
        writer: RunWriter | None,
    ) -> None:
        generator = np.random.default_rng(seed)
        self.store = store
        self.task = task
        self.num_glances = num_glances
        self.writer = writer
        self.train, self.validation = (
            np.sort(generator.choice(pool, size=min(num_items, len(pool)), replace=False))
            for pool in (store.split("train"), store.split("validation"))
        )
        self.history: dict[str, list[float]] = {"step": []}
        self.features: np.ndarray | None = None
        self.predicted: np.ndarray | None = None
        self.marks = 0

    def state_dict(self) -> dict[str, Any]:
        """What was measured so far."""
        return {"history": {name: list(values) for name, values in self.history.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.history = state_dict["history"]

    def on_train_start(  # type: ignore[override]
        self, trainer: lightning.Trainer, module: TrainingModule
    ) -> None:
        """Measure the untrained encoder."""
        if trainer.global_step == 0:
            self.measure(trainer, module)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: lightning.Trainer, module: TrainingModule, *_: Any
    ) -> None:
        """Measure at the chosen steps."""
        if module.num_steps is not None:
            due = trainer.global_step in snapshot_steps(module.num_steps, self.num_glances)
        else:
            # A budget in seconds: whenever the progress first passes a half, a quarter, ...
            marks = sum(module.progress >= 0.5**k for k in range(1, self.num_glances))
            due, self.marks = marks > self.marks, marks
        if due:
            self.measure(trainer, module)

    def on_train_end(  # type: ignore[override]
        self, trainer: lightning.Trainer, module: TrainingModule
    ) -> None:
        """Measure once more where the clock ended the run."""
        if trainer.global_step not in self.history["step"]:
            self.measure(trainer, module)

    def measure(self, trainer: lightning.Trainer, module: TrainingModule) -> None:
        """Measure, record, and call the snapshot callbacks."""
        if not trainer.is_global_zero:
            return
        encoder, device, step = module.objective.encoder, module.device, trainer.global_step
        self.features = embed(encoder, self.store, self.validation, device=device)
        measured = {"rankme": rankme(self.features) if self.features.any() else 0.0}
        if self.task is not None:
            labels = self.store.labels(self.task)
            known = embed(encoder, self.store, self.train, device=device)
            probe = KNNProbe(neighbours=(20,)).fit(known, labels[self.train])
            self.predicted = probe.predict(self.features)
            measured["accuracy"] = float((self.predicted == labels[self.validation]).mean())
        for name, value in {"step": step, **measured}.items():
            self.history.setdefault(name, []).append(value)
        if self.writer is not None:
            tracked = {names.monitor(name): value for name, value in measured.items()}
            self.writer.log_metrics(tracked, step)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, SnapshotCallback):
                callback.on_snapshot(module, step)


class Snapshots(SnapshotCallback):
    """Keeps a map of some validation features and the online probe's confusion at its steps.

    The map is the plane of the two first principal components of the features at that step, at unit
    root mean square distance from its centre. The confusion counts the same probe's predictions
    of all its validation items: rows are true classes, columns predicted ones. Both are part of
    the checkpoint, so a resumed run keeps them. Without labels nothing is kept.
    """

    def __init__(self, *, probe: OnlineProbe, step_cost: StepCost) -> None:
        self.probe = probe
        self.step_cost = step_cost
        self.kept: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        """What was kept so far."""
        return {"kept": list(self.kept)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.kept = state_dict["kept"]

    def on_snapshot(self, module: TrainingModule, step: int) -> None:
        """Keep a map and a confusion."""
        features, predicted, task = self.probe.features, self.probe.predicted, self.probe.task
        if features is None or predicted is None or task is None:
            return
        labels = self.probe.store.labels(task)[self.probe.validation]
        num_classes = len(self.probe.store.meta.tasks[task])
        confusion = None
        if num_classes <= MOST_CLASSES:
            confusion = confusion_matrix(labels, predicted, labels=range(num_classes)).tolist()
        # A store may be sorted by class: take items from everywhere.
        points = unit(project(features[spread(len(features), NUM_MAPPED)]))
        self.kept.append({"step": step, "confusion": confusion, "points": points.tolist()})

    def maps(self) -> dict[str, Any] | None:
        """Steps and FLOPs of the snapshots, x and y of the mapped items at each, their labels.

        Each map is turned (and mirrored) so that it lies as near as possible to the next one: a
        principal component has no sign, and two that are about as long may change places.
        """
        task, store = self.probe.task, self.probe.store
        if not self.kept or task is None:
            return None
        points = aligned([np.array(one["points"]) for one in self.kept])
        chosen = self.probe.validation[spread(len(self.probe.validation), NUM_MAPPED)]
        return {
            "step": [one["step"] for one in self.kept],
            "flops": [self.step_cost.upto(one["step"]) for one in self.kept],
            "x": [one[:, 0].round(3).tolist() for one in points],
            "y": [one[:, 1].round(3).tolist() for one in points],
            "confusion": [one["confusion"] for one in self.kept],
            "label": store.labels(task)[chosen].tolist(),
            "classes": list(store.meta.tasks[task]),
        }


def snapshot_steps(num_steps: int, num_glances: int) -> set[int]:
    """Steps at which to measure: doubling distances, the last step always among them."""
    if num_steps == 0:
        return set()
    return {max(1, round(num_steps / 2**k)) for k in range(num_glances - 1)}


def unit(points: Float[np.ndarray, "item 2"]) -> Float[np.ndarray, "item 2"]:
    """Centred points at unit root mean square distance from the centre; all equal ones stay."""
    centred = points.astype(np.float64) - points.mean(0)
    radius = float(np.sqrt((centred**2).sum(1).mean()))
    scaled: np.ndarray = centred / radius if radius > 0 else centred
    return scaled


def aligned(
    maps: list[Float[np.ndarray, "item 2"]],
) -> list[Float[np.ndarray, "item 2"]]:
    """Maps of the same items, each turned onto the next by the orthogonal Procrustes problem.

    Schönemann 1966, doi 10.1007/BF02289451; the last one stays as it is.
    """
    found = [maps[-1]]
    for points in reversed(maps[:-1]):
        rotation, _ = orthogonal_procrustes(points, found[0])
        found.insert(0, points @ rotation)
    return found
