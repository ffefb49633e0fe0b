"""The Lightning modules of the three paradigms: thin, over one base."""

import time
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import pytorch_lightning as lightning
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from trivium.data.batches import as_values, gather, modality_inputs_of
from trivium.data.store import Store
from trivium.encoders.towers import Towers
from trivium.training.optimizer import OptimiserFactory, decay_groups
from trivium.training.samples import spread
from trivium.types import Batch, Modality, Objective, Paradigm, Terms, View, Views

NUM_ITEMS, BATCH = 2000, 250


@torch.no_grad()
def fill_missing(encoder: Towers, store: Store, train: Int64[np.ndarray, " train"]) -> None:
    """Set each vector of `missing` that is still zero to the mean over some of the train samples.

    Features of a sample that lacks a modality then differ from others by what is unknown alone:
    a probe that was fitted on complete samples can be asked about incomplete ones. Vectors that
    were learnt, because training samples lacked that modality, stay.
    """
    missing = cast(dict[Modality, nn.Parameter], encoder.missing)
    wanted = [one for one in encoder.modalities if not missing[one].any()]
    chosen = np.sort(train[spread(len(train), NUM_ITEMS)])
    sums = {one: torch.zeros_like(missing[one]) for one in wanted}
    counts = dict.fromkeys(wanted, 0)
    encoder.eval()
    for part in np.array_split(chosen, -(-len(chosen) // BATCH)):
        senses = {
            one: sense._replace(values=as_values(sense.values))
            for one, sense in modality_inputs_of(
                gather(store, part, None, encoder.audio_column)
            ).items()
        }
        there = {one: sense.present_mask for one, sense in senses.items()}
        _, shares = encoder.fused_parts(encoder.each(senses), there)
        for one in wanted:
            sums[one] += shares[one][there[one]].sum(0)
            counts[one] += int(there[one].sum())
    for one in wanted:
        missing[one].copy_(sums[one] / max(1, counts[one]))


ViewsRecipe = Callable[..., tuple[View, ...]]
"""(values, generator), and for sequences which of their places hold data, to views."""


class Step(NamedTuple):
    """What one training step works on: the objective sees `views`, monitors may see `batch`."""

    views: Views
    batch: Batch


def step_seed(seed: int, step: int, rank: int, stream: int = 0) -> int:
    """One 63-bit seed for a step of a run on a rank: all randomness of the step follows from it.

    Streams are independent: 0 makes the views, 1 is the objective's own randomness.
    """
    import numpy as np

    return int(
        np.random.SeedSequence([seed, step, rank, stream]).generate_state(1, np.uint64)[0]
        >> np.uint64(1)
    )


class Pretraining(lightning.LightningModule):
    """Runs an objective over views of a batch; everything else is a callback.

    All randomness of a step (views, masks, noise) follows from (seed, step, rank), and the learning
    rate from the progress alone, so that a resumed run repeats an uninterrupted one bit by bit.
    """

    paradigm: ClassVar[Paradigm]

    def __init__(
        self,
        objective: Objective,
        *,
        views: ViewsRecipe,
        optimiser: OptimiserFactory,
        schedule: Callable[[float], float],
        weight_decay: float,
        num_steps: int | None,
        seconds: float | None,
        seed: int,
    ) -> None:
        super().__init__()
        if objective.paradigm != self.paradigm:
            raise ValueError(
                f"{type(objective).__name__} is {objective.paradigm}; {type(self).__name__} runs "
                f"{self.paradigm} objectives."
            )
        self.objective = objective
        self.views = views
        self.optimiser_factory = optimiser
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.num_steps = num_steps
        self.seconds = seconds
        self.seed = seed
        self.trained_seconds = 0.0
        self.view_seconds = 0.0

    @property
    def progress(self) -> float:
        """The share of the budget that is spent, in [0, 1]."""
        if self.num_steps is not None:
            return self.global_step / max(1, self.num_steps)
        assert self.seconds is not None
        return min(1.0, self.trained_seconds / self.seconds)

    def let_through(self, batch: Batch) -> Tensor | None:
        """The labels that this paradigm lets its objective see."""
        return None

    def make_views(self, batch: Batch, step: int) -> Views:
        """Views of a batch at a step, on the batch's device."""
        device = next(iter(batch.inputs.values())).device
        generator = torch.Generator(device)
        generator.manual_seed(step_seed(self.seed, step, self.global_rank))
        if len(batch.inputs) > 1:
            made = self.views(batch.inputs, generator, batch.valid, batch.present)
            return Views(made, self.let_through(batch))
        ((modality, values),) = batch.inputs.items()
        valid = [batch.valid[modality]] if modality in batch.valid else []
        return Views(self.views(values, generator, *valid), self.let_through(batch))

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

    def training_step(self, batch: Step, batch_idx: int) -> Terms:
        """The objective's terms."""
        terms: Terms = self.objective(batch.views)
        return {name: term if name == "loss" else term.detach() for name, term in terms.items()}

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then let the objective move its averages."""
        super().optimizer_step(*args, **kwargs)
        # Lightning counts the step after this hook.
        done = self.progress
        if self.num_steps is not None:
            done = (self.global_step + 1) / max(1, self.num_steps)
        self.objective.after_step(min(1.0, done))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One optimiser over decayed and undecayed parameters."""
        optimiser = self.optimiser_factory(decay_groups(self.objective, self.weight_decay))
        for group in optimiser.param_groups:
            group["initial_lr"] = group["lr"]
        return optimiser


class SupervisedPretraining(Pretraining):
    """Learning from labels: the only paradigm whose objective sees them."""

    paradigm = "supervised"

    def let_through(self, batch: Batch) -> Tensor | None:
        """The labels.

        Raises:
            ValueError: if the data has none.
        """
        if batch.labels is None:
            raise ValueError(f"{type(self.objective).__name__} needs labels and the data has none.")
        return batch.labels


class UnsupervisedPretraining(Pretraining):
    """Learning by modelling the data itself: no labels pass."""

    paradigm = "unsupervised"


class SelfSupervisedPretraining(Pretraining):
    """Learning from targets made of the data: no labels pass."""

    paradigm = "self_supervised"


PARADIGMS: dict[Paradigm, type[Pretraining]] = {
    module.paradigm: module
    for module in (SupervisedPretraining, UnsupervisedPretraining, SelfSupervisedPretraining)
}
