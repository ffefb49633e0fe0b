"""Validation during and after pretraining: the objective's loss, and the accuracy for selection."""

import copy
from statistics import fmean

import numpy as np
import torch

from trivium.data.store import Store
from trivium.evaluation.linear import LinearProbe
from trivium.features import embed
from trivium.training.datamodule import StoreData
from trivium.training.module import Pretraining, step_seed
from trivium.types import Encoder


@torch.no_grad()
def validation_loss(module: Pretraining, data: StoreData, num_batches: int) -> float:
    """Mean loss over the first validation batches, of as many samples as a training step.

    The objective is evaluated on a copy (no dropout, running statistics, moving averages at
    rest), in single precision; the module, its data's order and the random state stay as they were.

    Args:
        module: The trained module.
        data: What it was trained on.
        num_batches: How many batches; at most those of one pass over the validation split.

    Raises:
        ValueError: if the validation split does not hold one batch.
    """
    held_out = data.of_split("validation")
    objective = copy.deepcopy(module.objective).cpu().eval()
    losses = []
    with torch.random.fork_rng():
        for step in range(min(num_batches, len(held_out.pool) // held_out.batch_size)):
            torch.manual_seed(step_seed(module.seed, step, 0, stream=2))
            views = module.make_views(held_out.batch(step), step)
            losses.append(float(objective(views)["loss"]))
    return fmean(losses)


NUM_ITEMS = 5000
PENALTIES = (1e-2, 1.0, 1e2)


def selection_accuracy(encoder: Encoder, store: Store, task: str | None) -> float | None:
    """Accuracy on validation items of a linear probe fitted on some train items.

    Uses at most 5000 items of each, the same for every encoder of a dataset, and three values of
    C; None on unlabelled data.
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
    best = 0.0
    for penalty in PENALTIES:
        probe = LinearProbe([penalty]).fit(*parts["train"])
        best = max(best, float(probe.score(*parts["validation"])))
    return best
