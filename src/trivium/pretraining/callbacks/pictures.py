"""Pictures of learning: reconstructions and embedding maps at a few steps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch

from trivium.data.batches import gather
from trivium.pretraining.callbacks.online_probe import OnlineProbe
from trivium.pretraining.drawing import draw_map, draw_rows, project, spread
from trivium.pretraining.module import Pretraining
from trivium.tracking.writer import RunWriter

NUM_COLUMNS = 12


class Pictures(lightning.Callback):
    """Draws what the objective can show, and a map of validation features, when the probe looks.

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
        if self.probe.features is not None:
            self._keep(
                "embedding", draw_map(project(self.probe.features), self.labels(), self.classes())
            )

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
