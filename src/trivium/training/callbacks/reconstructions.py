"""Reconstructions, samples and feature maps at a few steps of a pretraining."""

from pathlib import Path

import numpy as np
import torch

from trivium.data.batches import as_values, gather
from trivium.data.spectrogram import settings_of
from trivium.data.store import Store
from trivium.tracking.writer import RunWriter
from trivium.training.callbacks.online_probe import AfterSnapshot, OnlineProbe
from trivium.training.module import Pretraining
from trivium.training.samples import (
    draw_map,
    keep_picture,
    keep_rows,
    keep_sounds,
    keep_texts,
    members,
    neighbours,
    num_spectrograms,
    project,
    spread,
    waves_of,
)
from trivium.types import Batch, Objective, View

NUM_COLUMNS = 12
NUM_NEIGHBOURS = 5
NUM_GROUPS = 10
NUM_HEARD, NUM_HEARD_NEIGHBOURS = 3, 2
"""Samples that can be heard before so many of their neighbours."""

Place = tuple[int, Path, RunWriter | None]
"""The step, the folder and the tracker of what is kept."""


class Reconstructions(AfterSnapshot):
    """Draws, when the probe looks, what the objective can show, and what its features hold.

    That is: the objective's own rows of pictures; a map of validation features; some validation
    samples above their nearest neighbours; and, where the objective has groups of its own, a row
    of members for each of the largest. Of audio there are also sounds (MP3), at the first and the
    last look: each of the objective's rows, and three samples each before its two nearest. Of
    several modalities the rows of each make a sheet of their own (a row's name begins with its
    modality), and neighbours are shown by the first modality that all of them have.

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
        place: Place = (step, self.folder, self.writer)
        rows = self.rows(pl_module)
        for modality, some in self.by_modality(rows).items():
            if modality is None:
                keep_rows(some, self.probe.store, "rows", *place)
            else:
                keep_rows(some, self.probe.store.part(modality), f"rows_{modality}", *place)
        features, nearest = self.probe.features, None
        if features is not None:
            drawn = draw_map(project(features), self.labels(), self.classes())
            keep_picture(drawn, "embedding", *place)
            queries = spread(len(features), self.num_columns)
            nearest = neighbours(features, queries, num=NUM_NEIGHBOURS)
            self._keep_sheet(pl_module, "neighbours", nearest, place)
        groups = self.groups(pl_module)
        if groups is not None:
            sheet = members(groups, num_groups=NUM_GROUPS, num_members=self.num_columns)
            self._keep_sheet(pl_module, "clusters", sheet, place)
        ends = step == 0 or pl_module.progress >= 1
        if ends and self.probe.store.meta.modality == "audio":
            self._keep_sounds(rows, nearest, place)

    def by_modality(self, rows: dict[str, np.ndarray]) -> dict[str | None, dict[str, np.ndarray]]:
        """Rows of one modality as they are; of several, by the first word of their names."""
        parts = self.probe.store.meta.parts
        if not parts or not rows:
            return {None: rows} if rows else {}
        found: dict[str | None, dict[str, np.ndarray]] = {}
        for name, row in rows.items():
            found.setdefault(name.split(" ")[0], {})[name] = row
        return found

    @property
    def num_columns(self) -> int:
        """Samples that stand side by side on a sheet; fewer of long clips."""
        meta = self.probe.store.meta
        return num_spectrograms(meta.shape[1]) if meta.modality == "audio" else NUM_COLUMNS

    def rows(self, pl_module: Pretraining) -> dict[str, np.ndarray]:
        """The objective's pictures of a few fixed validation samples."""
        everywhere = self.probe.validation
        indices = everywhere[spread(len(everywhere), self.num_columns)]
        column = getattr(pl_module.views, "column", None)
        batch = gather(self.probe.store, indices, self.probe.task, column)
        objective = pl_module.objective
        was_training = objective.training
        objective.eval()
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            inputs, valid, present = (
                {name: each.to(pl_module.device) for name, each in (values or {}).items()}
                for values in (batch.inputs, batch.valid, batch.present)
            )
            views = pl_module.make_views(
                Batch(inputs, valid, batch.labels, batch.indices, present), 0
            )
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
        batch = gather(self.probe.store, indices, None, pl_module.objective.encoder.column)
        ((modality, values),) = batch.inputs.items()
        valid = batch.valid.get(modality)
        device = pl_module.device
        return View(as_values(values.to(device)), None if valid is None else valid.to(device))

    def _keep_sheet(
        self,
        pl_module: Pretraining,
        name: str,
        chosen: np.ndarray,
        place: Place,
    ) -> None:
        """Show rows of validation items, given by their positions [row, column]."""
        if not chosen.size:
            return
        store, items = self.probe.store, self.probe.validation[chosen]
        if store.parts:
            known = [one for one in store.parts if (store.rows(one)[items] >= 0).all()]
            if known:
                self._keep_part(store.part(known[0]), store.rows(known[0])[items], name, place)
            return
        if store.meta.modality == "text":
            rows = {str(rank): store.texts(row) for rank, row in enumerate(items)}
            keep_texts(rows, name, *place)
            return
        if store.meta.modality == "audio":
            shown = gather(store, items.ravel(), None).inputs["audio"]
        else:
            stem = pl_module.objective.encoder.stem
            shown = stem.render(stem.target(self._view(pl_module, items.ravel()).values))
        sheet = shown.float().cpu().numpy().reshape(*chosen.shape, *shown.shape[1:])
        keep_rows({str(rank): row for rank, row in enumerate(sheet)}, store, name, *place)

    def _keep_part(self, part: Store, items: np.ndarray, name: str, place: Place) -> None:
        """The same of rows of one of several modalities, as they lie in the store."""
        if part.meta.modality == "text":
            keep_texts({str(rank): part.texts(row) for rank, row in enumerate(items)}, name, *place)
            return
        ((values),) = gather(part, items.ravel(), None).inputs.values()
        sheet = as_values(values).numpy().reshape(*items.shape, *values.shape[1:])
        keep_rows({str(rank): row for rank, row in enumerate(sheet)}, part, name, *place)

    def _keep_sounds(
        self, rows: dict[str, np.ndarray], nearest: np.ndarray | None, place: Place
    ) -> None:
        """Let rows of the objective be heard, and some queries [rank, query] and their nearest."""
        store = self.probe.store
        settings = settings_of(store.meta.sound)
        if rows:
            waves = {name: waves_of(row, settings) for name, row in rows.items()}
            keep_sounds(waves, settings.rate, *place)
        if nearest is not None:
            queries = spread(nearest.shape[1], NUM_HEARD)
            heard = self.probe.validation[nearest[: 1 + NUM_HEARD_NEIGHBOURS, queries].T.ravel()]
            clips = as_values(gather(store, heard, None, "wave").inputs["audio"])
            keep_sounds({"neighbours": clips.numpy()}, settings.rate, *place)

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
