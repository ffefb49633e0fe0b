"""Pictures of learning: reconstructions and embedding maps at a few steps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch

from trivium.data.batches import gather
from trivium.embedding import as_values
from trivium.pretraining.callbacks.online_probe import OnlineProbe
from trivium.pretraining.drawing import (
    draw_map,
    draw_rows,
    members,
    neighbours,
    project,
    spread,
)
from trivium.pretraining.module import Pretraining
from trivium.tracking.writer import RunWriter
from trivium.types import Objective, View

NUM_COLUMNS = 12
NUM_NEIGHBOURS = 5
NUM_GROUPS = 10


class Pictures(lightning.Callback):
    """Draws, when the probe looks, what the objective can show, and what its features hold.

    That is: the objective's own rows of pictures; a map of validation features; some validation
    samples above their nearest neighbours; and, where the objective has groups of its own, a row
    of members for each of the largest.

    Place it after the online probe: it draws at the probe's steps, from the probe's features.
    PNG files go to `folder`, and to the tracker under stable names with a step.
    """

    def __init__(self, *, folder: Path, probe: OnlineProbe, writer: RunWriter | None) -> None:
        self.folder = folder
        self.probe = probe
        self.writer = writer
        self.drawn = -1.0

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Draw if the probe has just looked."""
        self._draw_if_looked(trainer, pl_module)

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Draw the untrained state."""
        self._draw_if_looked(trainer, pl_module)

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Draw where the clock ended the run."""
        self._draw_if_looked(trainer, pl_module)

    def _draw_if_looked(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        steps = self.probe.history["step"]
        looked = bool(steps) and steps[-1] == trainer.global_step != self.drawn
        if not trainer.is_global_zero or not looked:
            return
        assert isinstance(pl_module, Pretraining)
        self.drawn = steps[-1]
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = self.rows(pl_module)
        if rows:
            self._keep("rows", draw_rows(rows))
        features = self.probe.features
        if features is not None:
            self._keep("embedding", draw_map(project(features), self.labels(), self.classes()))
            nearest = neighbours(features, spread(len(features), NUM_COLUMNS), num=NUM_NEIGHBOURS)
            self._keep_sheet(pl_module, "neighbours", nearest)
        groups = self.groups(pl_module)
        if groups is not None:
            sheet = members(groups, num_groups=NUM_GROUPS, num_members=NUM_COLUMNS)
            self._keep_sheet(pl_module, "clusters", sheet)

    def rows(self, pl_module: Pretraining) -> dict[str, np.ndarray]:
        """The objective's pictures of a few fixed validation samples."""
        everywhere = self.probe.validation
        indices = everywhere[spread(len(everywhere), NUM_COLUMNS)]
        batch = gather(self.probe.store, indices, self.probe.task)
        objective = pl_module.objective
        was_training = objective.training
        objective.eval()
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            views = pl_module.make_views(
                batch._replace(inputs={k: v.to(pl_module.device) for k, v in batch.inputs.items()}),
                0,
            )
            rows = objective.pictures(views)
        objective.train(was_training)
        return {name: images.float().cpu().numpy() for name, images in rows.items()}

    def groups(self, pl_module: Pretraining) -> np.ndarray | None:
        """The objective's own groups of the probe's validation items; None if it has none."""
        objective = pl_module.objective
        if type(objective).assign is Objective.assign:
            return None
        was_training = objective.training
        objective.eval()
        with torch.no_grad():
            groups = objective.assign(View(self._values(pl_module, self.probe.validation)))
        objective.train(was_training)
        return None if groups is None else groups.cpu().numpy()

    def _values(self, pl_module: Pretraining, indices: np.ndarray) -> torch.Tensor:
        (values,) = gather(self.probe.store, indices, None).inputs.values()
        return as_values(values.to(pl_module.device))

    def _keep_sheet(self, pl_module: Pretraining, name: str, chosen: np.ndarray) -> None:
        """Draw rows of validation items, given by their positions [row, column]."""
        if not chosen.size:
            return
        stem = pl_module.objective.encoder.stem
        values = self._values(pl_module, self.probe.validation[chosen.ravel()])
        drawn = stem.render(stem.target(values)).float().cpu().numpy()
        rows = drawn.reshape(*chosen.shape, *drawn.shape[1:])
        self._keep(name, draw_rows({str(rank): row for rank, row in enumerate(rows)}))

    def labels(self) -> np.ndarray | None:
        """Labels of the probe's validation items."""
        if self.probe.task is None:
            return None
        labels: np.ndarray = self.probe.store.labels(self.probe.task)[self.probe.validation]
        return labels

    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        tasks = self.probe.store.meta.tasks
        return tuple(tasks[self.probe.store.task(self.probe.task)]) if self.probe.task else ()

    def _keep(self, name: str, image: np.ndarray) -> None:
        from PIL import Image

        Image.fromarray(image).save(self.folder / f"{name}-step{int(self.drawn):06d}.png")
        if self.writer is not None:
            self.writer.log_image(name, image, int(self.drawn))
