"""A glance at what the encoder knows while it learns: for monitoring only."""

from typing import Any

import numpy as np
import pytorch_lightning as lightning

from trivium.data.store import Store
from trivium.embedding import embed
from trivium.pretraining.module import Pretraining
from trivium.probes.diagnostics import rankme
from trivium.probes.knn import KNNProbe
from trivium.tracking import names
from trivium.tracking.writer import RunWriter


def glance_steps(num_steps: int, num_glances: int) -> set[int]:
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
            due = trainer.global_step in glance_steps(pl_module.num_steps, self.num_glances)
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
