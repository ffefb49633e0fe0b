"""Pictures of learning: reconstructions and embedding maps at a few steps."""

from pathlib import Path

import numpy as np
import torch

from trivium.data.batches import gather
from trivium.embedding import as_values
from trivium.pretraining.callbacks.after_look import AfterLook
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
from trivium.pretraining.sheets import keep_picture, keep_rows, keep_texts
from trivium.tracking.writer import RunWriter
from trivium.types import Objective, View

NUM_COLUMNS = 12
NUM_NEIGHBOURS = 5
NUM_GROUPS = 10


class Pictures(AfterLook):
    """Draws, when the probe looks, what the objective can show, and what its features hold.

    That is: the objective's own rows of pictures; a map of validation features; some validation
    samples above their nearest neighbours; and, where the objective has groups of its own, a row
    of members for each of the largest.

    Place it after the online probe: it draws at the probe's steps, from the probe's features.
    PNG files (of texts: json files) go to `folder`, and to the tracker under stable names with a
    step.
    """

    def __init__(self, *, folder: Path, probe: OnlineProbe, writer: RunWriter | None) -> None:
        super().__init__(probe)
        self.folder = folder
        self.writer = writer

    def act(self, pl_module: Pretraining, step: int) -> None:
        """Draw the sheets of a step."""
        self.folder.mkdir(parents=True, exist_ok=True)
        place: tuple[int, Path, RunWriter | None] = (step, self.folder, self.writer)
        rows = self.rows(pl_module)
        if rows:
            keep_rows(rows, self.probe.store, "rows", *place)
        features = self.probe.features
        if features is not None:
            drawn = draw_map(project(features), self.labels(), self.classes())
            keep_picture(drawn, "embedding", *place)
            nearest = neighbours(features, spread(len(features), NUM_COLUMNS), num=NUM_NEIGHBOURS)
            self._keep_sheet(pl_module, "neighbours", nearest, place)
        groups = self.groups(pl_module)
        if groups is not None:
            sheet = members(groups, num_groups=NUM_GROUPS, num_members=NUM_COLUMNS)
            self._keep_sheet(pl_module, "clusters", sheet, place)

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
            inputs, valid = (
                {name: each.to(pl_module.device) for name, each in values.items()}
                for values in (batch.inputs, batch.valid)
            )
            views = pl_module.make_views(batch._replace(inputs=inputs, valid=valid), 0)
            rows = objective.pictures(views)
        objective.train(was_training)
        return {
            name: (row.float() if row.is_floating_point() else row).cpu().numpy()
            for name, row in rows.items()
        }

    def groups(self, pl_module: Pretraining) -> np.ndarray | None:
        """The objective's own groups of the probe's validation items; None if it has none."""
        objective = pl_module.objective
        if type(objective).assign is Objective.assign:
            return None
        was_training = objective.training
        objective.eval()
        with torch.no_grad():
            groups = objective.assign(self._view(pl_module, self.probe.validation))
        objective.train(was_training)
        return None if groups is None else groups.cpu().numpy()

    def _view(self, pl_module: Pretraining, indices: np.ndarray) -> View:
        batch = gather(self.probe.store, indices, None)
        ((modality, values),) = batch.inputs.items()
        valid = batch.valid.get(modality)
        device = pl_module.device
        return View(as_values(values.to(device)), None if valid is None else valid.to(device))

    def _keep_sheet(
        self,
        pl_module: Pretraining,
        name: str,
        chosen: np.ndarray,
        place: tuple[int, Path, RunWriter | None],
    ) -> None:
        """Show rows of validation items, given by their positions [row, column]."""
        if not chosen.size:
            return
        store, items = self.probe.store, self.probe.validation[chosen]
        if store.meta.modality == "text":
            rows = {str(rank): store.texts(row) for rank, row in enumerate(items)}
            keep_texts(rows, name, *place)
            return
        stem = pl_module.objective.encoder.stem
        drawn = stem.render(stem.target(self._view(pl_module, items.ravel()).values))
        images = drawn.float().cpu().numpy().reshape(*chosen.shape, *drawn.shape[1:])
        sheet = draw_rows({str(rank): row for rank, row in enumerate(images)})
        keep_picture(sheet, name, *place)

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
