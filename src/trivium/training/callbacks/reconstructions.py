"""Reconstructions, samples and feature maps at a few steps of a pretraining."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from trivium.data.batches import as_values, gather
from trivium.data.spectrogram import settings_of
from trivium.tracking.writer import RunWriter
from trivium.training.callbacks.online_probe import OnlineProbe, SnapshotCallback
from trivium.training.module import TrainingModule
from trivium.training.samples import (
    SampleWriter,
    draw_map,
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
NUM_SOUND_QUERIES, NUM_SOUND_NEIGHBOURS = 3, 2


class Reconstructions(SnapshotCallback):
    """Draws what the objective can show and what its features hold, at the probe's steps.

    That is: the objective's own rows of pictures; a map of validation features; some validation
    samples above their nearest neighbours; and, where the objective has groups of its own, a row
    of members for each of the largest. Of audio there are also sounds (MP3), at the first and the
    last step: each of the objective's rows, and three samples each before its two nearest. Of
    several modalities the rows of each make a grid of their own (a row's name begins with its
    modality), and neighbours are shown by the first modality that all of them have.

    PNG files (of texts: json files) go to `folder`, and to the tracker under stable names with a
    step.
    """

    def __init__(self, folder: Path, *, probe: OnlineProbe, writer: RunWriter | None) -> None:
        self.folder = folder
        self.probe = probe
        self.writer = writer

    def on_snapshot(self, module: TrainingModule, step: int) -> None:
        """Draw the grids of a step."""
        self.folder.mkdir(parents=True, exist_ok=True)
        samples = SampleWriter(self.folder, step, self.writer)
        store, task, features = self.probe.store, self.probe.task, self.probe.features
        rows = self.rows(module)
        if rows and not store.parts:
            samples.rows("rows", rows, store)
        for modality, part in store.parts.items():
            own = {name: row for name, row in rows.items() if name.split(" ")[0] == modality}
            if own:
                samples.rows(f"rows_{modality}", own, part)
        nearest = None
        if features is not None:
            labels = None if task is None else store.labels(task)[self.probe.validation]
            classes = () if task is None else store.meta.tasks[task]
            samples.picture("embedding", draw_map(project(features), labels, tuple(classes)))
            queries = spread(len(features), self.num_columns)
            nearest = neighbours(features, queries, num=NUM_NEIGHBOURS)
            self._write_items("neighbours", nearest, samples)
        groups = self.groups(module)
        if groups is not None:
            chosen = members(groups, num_groups=NUM_GROUPS, num_members=self.num_columns)
            self._write_items("clusters", chosen, samples)
        if store.meta.modality == "audio" and (step == 0 or module.progress >= 1):
            self._write_sounds(rows, nearest, samples)

    @property
    def num_columns(self) -> int:
        """Samples that stand side by side in a grid; fewer of long clips."""
        meta = self.probe.store.meta
        return num_spectrograms(meta.shape[1]) if meta.modality == "audio" else NUM_COLUMNS

    def rows(self, module: TrainingModule) -> dict[str, np.ndarray]:
        """The objective's pictures of a few fixed validation samples."""
        items = self.probe.validation
        indices = items[spread(len(items), self.num_columns)]
        column = getattr(module.views, "column", None)
        batch = gather(self.probe.store, indices, self.probe.task, column)
        batch = module.transfer_batch_to_device(batch, module.device, 0)
        with torch.random.fork_rng(), evaluating(module.objective):
            torch.manual_seed(0)
            rows = module.objective.pictures(module.make_views(batch, 0))
        return {
            name: (row.float() if row.is_floating_point() else row).cpu().numpy()
            for name, row in rows.items()
        }

    def groups(self, module: TrainingModule) -> np.ndarray | None:
        """The objective's own groups of the probe's validation items; None if it has none."""
        objective = module.objective
        if type(objective).assign is Objective.assign:
            return None
        column = objective.encoder.column
        batch: Batch = gather(self.probe.store, self.probe.validation, None, column)
        batch = module.transfer_batch_to_device(batch, module.device, 0)
        ((modality, values),) = batch.inputs.items()
        with evaluating(objective):
            groups = objective.assign(View(as_values(values), batch.valid.get(modality)))
        return None if groups is None else groups.cpu().numpy()

    def _write_items(self, name: str, chosen: np.ndarray, samples: SampleWriter) -> None:
        """Rows of validation items, given by their positions [row, column], as the store has them.

        Of several modalities by the first that all of them have.
        """
        if not chosen.size:
            return
        store, items = self.probe.store, self.probe.validation[chosen]
        if store.parts:
            shared = [one for one in store.parts if (store.rows(one)[items] >= 0).all()]
            if not shared:
                return
            store, items = store.part(shared[0]), store.rows(shared[0])[items]
        if store.meta.modality == "text":
            samples.texts(name, {str(rank): store.texts(row) for rank, row in enumerate(items)})
            return
        ((values),) = gather(store, items.ravel(), None).inputs.values()
        grid = as_values(values).numpy().reshape(*items.shape, *values.shape[1:])
        samples.rows(name, {str(rank): row for rank, row in enumerate(grid)}, store)

    def _write_sounds(
        self, rows: dict[str, np.ndarray], nearest: np.ndarray | None, samples: SampleWriter
    ) -> None:
        """Rows of the objective, and some queries [rank, query] with their nearest, as sounds."""
        store = self.probe.store
        settings = settings_of(store.meta.sound)
        if rows:
            waves = {name: waves_of(row, settings) for name, row in rows.items()}
            samples.sounds(waves, settings.rate)
        if nearest is not None:
            queries = spread(nearest.shape[1], NUM_SOUND_QUERIES)
            shown = self.probe.validation[nearest[: 1 + NUM_SOUND_NEIGHBOURS, queries].T.ravel()]
            clips = as_values(gather(store, shown, None, "wave").inputs["audio"])
            samples.sounds({"neighbours": clips.numpy()}, settings.rate)


@contextmanager
def evaluating(objective: Objective) -> Iterator[None]:
    """The objective in eval mode, without gradients; afterwards as it came."""
    was_training = objective.training
    objective.eval()
    with torch.no_grad():
        yield
    objective.train(was_training)
