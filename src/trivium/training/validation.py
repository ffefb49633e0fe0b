"""Validation during and after pretraining: the objective's loss, and the accuracy for selection."""

import copy
from statistics import fmean

import numpy as np
import torch

from trivium.data.store import Store
from trivium.evaluation.linear import LinearProbe
from trivium.features import embed
from trivium.training.datamodule import StoreData
from trivium.training.module import TrainingModule, step_seed
from trivium.types import Encoder

NUM_ITEMS = 5000
VALUES_OF_C = (1e-2, 1.0, 1e2)


@torch.no_grad()
def validation_loss(module: TrainingModule, data: StoreData, num_batches: int) -> float:
    """Mean loss over the first validation batches, of as many samples as a training step.

    The objective is evaluated on a copy (no dropout, running statistics, moving averages at
    rest), in single precision; the module, its data's order and the random state stay as they were.

    `data` is what it was trained on; there are at most as many batches as one pass over the
    validation split has.

    Raises:
        ValueError: if the validation split does not hold one batch.
    """
    validation = data.of_split("validation")
    objective = copy.deepcopy(module.objective).cpu().eval()
    losses = []
    with torch.random.fork_rng():
        for step in range(min(num_batches, len(validation.pool) // validation.batch_size)):
            torch.manual_seed(step_seed(module.seed, step, 0, stream=2))
            views = module.make_views(validation.batch(step), step)
            losses.append(float(objective(views)["loss"]))
    return fmean(losses)


def selection_accuracy(encoder: Encoder, store: Store, task: str | None) -> float | None:
    """Accuracy on validation items of a linear probe fitted on some train items.

    Uses at most 5000 items of each, the same for every encoder of a dataset, and the value of C
    (of three) with the lowest validation cross-entropy; an item whose class no train item has is
    wrong. None on unlabelled data.
    """
    if task is None:
        return None
    generator = np.random.default_rng(0)
    labels = store.labels(task)
    parts = {}
    for split in ("train", "validation"):
        pool = store.split(split)
        chosen = np.sort(generator.choice(pool, size=min(NUM_ITEMS, len(pool)), replace=False))
        parts[split] = (embed(encoder, store, chosen), labels[chosen])
    features, targets = parts["validation"]
    known = np.isin(targets, parts["train"][1])
    probe = LinearProbe(VALUES_OF_C)
    probe.fit(*parts["train"], validation=(features[known], targets[known]))
    return float(probe.validation_["accuracy"] * known.mean())
