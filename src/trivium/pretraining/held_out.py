"""An objective's own loss on validation samples, which nothing learns from."""

import copy
from statistics import fmean

import torch

from trivium.pretraining.data import StoreData
from trivium.pretraining.module import Pretraining, step_seed


@torch.no_grad()
def held_out_loss(module: Pretraining, data: StoreData, num_batches: int) -> float:
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
