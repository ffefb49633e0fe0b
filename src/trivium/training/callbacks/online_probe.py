"""A linear probe while the encoder learns, and snapshots of what it confuses."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import pytorch_lightning as lightning
from jaxtyping import Float

from trivium.data.store import Store
from trivium.evaluation.knn import KNNProbe
from trivium.evaluation.representation import rankme
from trivium.features import embed
from trivium.tracking import names
from trivium.tracking.writer import RunWriter
from trivium.training.budget import StepCost
from trivium.training.module import Pretraining
from trivium.training.samples import project, spread


def snapshot_steps(num_steps: int, num_glances: int) -> set[int]:
    """Steps at which to look: doubling distances, the last step always among them."""
    if num_steps == 0:
        return set()
    return {max(1, round(num_steps / 2**k)) for k in range(num_glances - 1)}


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
        self.train = self._some(store.split("train"), num_items, generator)
        self.validation = self._some(store.split("validation"), num_items, generator)
        self.history: dict[str, list[float]] = {"step": []}
        self.features: np.ndarray | None = None
        self.predicted: np.ndarray | None = None
        self.marks = 0

    @staticmethod
    def _some(pool: np.ndarray, num_items: int, generator: np.random.Generator) -> np.ndarray:
        return np.sort(generator.choice(pool, size=min(num_items, len(pool)), replace=False))

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far."""
        return {"history": {name: list(values) for name, values in self.history.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.history = state_dict["history"]

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Look at the untrained encoder."""
        if trainer.global_step == 0:
            self.look(trainer, pl_module)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Look at the chosen steps."""
        assert isinstance(pl_module, Pretraining)
        if pl_module.num_steps is not None:
            due = trainer.global_step in snapshot_steps(pl_module.num_steps, self.num_glances)
        else:
            # A budget in seconds: whenever the progress first passes a half, a quarter, ...
            marks = sum(pl_module.progress >= 0.5**k for k in range(1, self.num_glances))
            due, self.marks = marks > self.marks, marks
        if due:
            self.look(trainer, pl_module)

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Look once more where the clock ended the run."""
        if not self.history["step"] or self.history["step"][-1] != trainer.global_step:
            self.look(trainer, pl_module)

    def look(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Measure and record."""
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, Pretraining)
        encoder, device = pl_module.objective.encoder, pl_module.device
        self.features = embed(encoder, self.store, self.validation, device=device)
        rank = rankme(self.features) if self.features.any() else 0.0
        seen = {"rankme": float(rank)}
        if self.task is not None:
            labels = self.store.labels(self.task)
            known = embed(encoder, self.store, self.train, device=device)
            probe = KNNProbe(neighbours=(20,)).fit(known, labels[self.train])
            self.predicted = probe.predict(self.features)
            seen["accuracy"] = float((self.predicted == labels[self.validation]).mean())
        self.history["step"].append(trainer.global_step)
        for name, value in seen.items():
            self.history.setdefault(name, []).append(value)
        if self.writer is not None:
            self.writer.log_metrics(
                {names.monitor(k): v for k, v in seen.items()}, trainer.global_step
            )


class AfterSnapshot(lightning.Callback, ABC):
    """Acts once after each look of the online probe; place it behind the probe."""

    def __init__(self, probe: OnlineProbe) -> None:
        self.probe = probe
        self.seen = -1

    @abstractmethod
    def act(self, pl_module: Pretraining, step: int) -> None:
        """What to do at a step at which the probe has looked."""

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Act on the untrained state."""
        self._act_if_looked(trainer, pl_module)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Act if the probe has just looked."""
        self._act_if_looked(trainer, pl_module)

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Act where the clock ended the run."""
        self._act_if_looked(trainer, pl_module)

    def _act_if_looked(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        steps = self.probe.history["step"]
        looked = bool(steps) and steps[-1] == trainer.global_step != self.seen
        if not trainer.is_global_zero or not looked:
            return
        assert isinstance(pl_module, Pretraining)
        self.seen = trainer.global_step
        self.act(pl_module, self.seen)


NUM_MAPPED = 300
"""Validation items that a map shows."""
MOST_CLASSES = 30
"""Of more classes no confusion is kept: nobody could read it."""


class Snapshots(AfterSnapshot):
    """Keeps a map of some validation features and the online probe's confusion, look by look.

    The map is the plane of the two first principal components of that look's features, at unit
    root mean square distance from its centre. The confusion counts the same probe's predictions
    of all its validation items: rows are true classes, columns predicted ones. Both are part of
    the checkpoint, so a resumed run keeps them. Without labels nothing is kept.
    """

    def __init__(self, *, probe: OnlineProbe, price: StepCost) -> None:
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
