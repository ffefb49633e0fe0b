"""The Lightning module: one objective over views of a batch; everything else is a callback."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as lightning
import torch
from torch.optim import Optimizer

from trivium.training.optimizer import SCALE, OptimiserFactory, decay_groups, layer_groups
from trivium.training.settings import ViewsRecipe
from trivium.types import Batch, Objective, Terms, Views


class Step(NamedTuple):
    """What one training step works on: the objective sees `views`, monitors may see `batch`."""

    views: Views
    batch: Batch


def step_seed(seed: int, step: int, rank: int, stream: int = 0) -> int:
    """One 63-bit seed for a step of a run on a rank: all randomness of the step follows from it.

    Streams are independent: 0 makes the views, 1 is the objective's own randomness, 2 that of the
    validation loss.
    """
    sequence = np.random.SeedSequence([seed, step, rank, stream])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


class TrainingModule(lightning.LightningModule):
    """Trains an objective; labels reach supervised ones alone.

    All randomness of a step (views, masks, noise) follows from (seed, step, rank), and the learning
    rate from the progress alone, so that a resumed run repeats an uninterrupted one bit by bit.

    `objective` holds the encoder; `views` makes the views of a batch; `schedule` maps progress in
    [0, 1] to a factor of the learning rate; `weight_decay` is that of matrices (`decay_groups`);
    training ends after `num_steps`, or after `seconds` if they are None; `layer_decay` is the
    learning rate of a layer over that of the next one (`layer_groups`).
    """

    def __init__(
        self,
        objective: Objective,
        *,
        views: ViewsRecipe,
        optimiser: OptimiserFactory,
        schedule: Callable[[float], float],
        weight_decay: float,
        seed: int,
        num_steps: int | None = None,
        seconds: float | None = None,
        layer_decay: float = 1.0,
    ) -> None:
        super().__init__()
        self.objective = objective
        self.views = views
        self.optimiser_factory = optimiser
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.seed = seed
        self.num_steps = num_steps
        self.seconds = seconds
        self.layer_decay = layer_decay
        self.trained_seconds = 0.0
        self.view_seconds = 0.0

    def training_step(self, batch: Step, batch_idx: int) -> Terms:
        """The objective's terms."""
        terms: Terms = self.objective(batch.views)
        return {name: term if name == "loss" else term.detach() for name, term in terms.items()}

    def configure_optimizers(self) -> Optimizer:
        """One optimiser over decayed and undecayed parameters, by layer if their rates differ."""
        groups = decay_groups(self.objective, self.weight_decay)
        if self.layer_decay < 1:
            groups = layer_groups(self.objective, self.weight_decay, self.layer_decay)
        optimiser = self.optimiser_factory(groups)
        for group in optimiser.param_groups:
            group["initial_lr"] = group["lr"] * group.get(SCALE, 1.0)
        return optimiser

    @property
    def progress(self) -> float:
        """The share of the budget that is spent, in [0, 1]."""
        if self.num_steps is not None:
            return self.global_step / max(1, self.num_steps)
        assert self.seconds is not None
        return min(1.0, self.trained_seconds / self.seconds)

    def make_views(self, batch: Batch, step: int) -> Views:
        """Views of a batch at a step, on the batch's device."""
        device = next(iter(batch.inputs.values())).device
        generator = torch.Generator(device)
        generator.manual_seed(step_seed(self.seed, step, self.global_rank))
        labels = batch.labels if self.objective.paradigm == "supervised" else None
        if len(batch.inputs) > 1:
            return Views(self.views(batch.inputs, generator, batch.valid, batch.present), labels)
        ((modality, values),) = batch.inputs.items()
        valid = [batch.valid[modality]] if modality in batch.valid else []
        return Views(self.views(values, generator, *valid), labels)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Step:
        """Make the views on the training device."""
        started = time.perf_counter()
        views = self.make_views(batch, self.global_step)
        self.view_seconds += time.perf_counter() - started
        return Step(views, batch)

    def on_train_batch_start(self, batch: Step, batch_idx: int) -> None:
        """Seed the step and set its learning rate."""
        torch.manual_seed(step_seed(self.seed, self.global_step, self.global_rank, stream=1))
        factor = self.schedule(self.progress)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = group["initial_lr"] * factor

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then let the objective move its averages."""
        super().optimizer_step(*args, **kwargs)
        # Lightning counts the step after this hook.
        done = self.progress
        if self.num_steps is not None:
            done = (self.global_step + 1) / max(1, self.num_steps)
        self.objective.after_step(min(1.0, done))
