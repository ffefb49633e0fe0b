"""Fine-tuning: a pretrained encoder and a linear head learn from labels, at a stated price."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch.nn import functional as F
from torch.optim import Optimizer

from trivium.data.labelled import Labelled
from trivium.data.store import Store
from trivium.embedding import embed
from trivium.objectives.supervised.cross_entropy import CrossEntropy
from trivium.pretraining.budget import Budget, count_flops
from trivium.pretraining.callbacks.cost import Cost
from trivium.pretraining.callbacks.progress import ProgressBar
from trivium.pretraining.callbacks.recorder import Recorder
from trivium.pretraining.data import StoreData
from trivium.pretraining.layer_decay import SCALE, layer_groups
from trivium.pretraining.module import SupervisedPretraining, ViewsRecipe
from trivium.pretraining.optimisers import OptimiserFactory
from trivium.pretraining.price import Price
from trivium.pretraining.settings import TrainerSettings
from trivium.pretraining.training import run_trainer
from trivium.types import DataSpec, Encoder

NUM_CHECKS = 20
"""How often the loss is looked at: one that is not finite ends the training."""


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """Everything that one fine-tuning is made of.

    `objective` puts a head for some data on an encoder; `optimisers` are by learning rate, to
    choose from on validation; `schedule` maps progress to a learning rate factor; `budget` is the
    price of one training; of `trainer` the batch size is lowered to the number of labelled items
    where that is smaller; `layer_decay` is the learning rate of a layer over that of the next one,
    1 for none.

    Raises:
        ValueError: if there is no learning rate, or `layer_decay` is outside of (0, 1].
    """

    objective: Callable[[Encoder, DataSpec], CrossEntropy]
    views: ViewsRecipe
    optimisers: Mapping[float, OptimiserFactory]
    schedule: Callable[[float], float]
    weight_decay: float
    budget: Budget
    trainer: TrainerSettings
    layer_decay: float
    seed: int

    def __post_init__(self) -> None:
        if not self.optimisers:
            raise ValueError("optimizer.lr is empty; expected a learning rate or a list of them.")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(
                f"layer_decay is {self.layer_decay}; expected the learning rate of a layer over "
                "that of the next one, in (0, 1]; 1.0 for the same everywhere."
            )


class FineTuningModule(SupervisedPretraining):
    """Supervised training in which the learning rate may fall from the head to the stem."""

    def __init__(self, *args: Any, layer_decay: float, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.layer_decay = layer_decay

    def configure_optimizers(self) -> Optimizer:
        """One optimiser; each layer's learning rate begins at its share of the head's."""
        groups = layer_groups(self.objective, self.weight_decay, self.layer_decay)
        optimiser = self.optimiser_factory(groups)
        for group in optimiser.param_groups:
            group["initial_lr"] = group["lr"] * group[SCALE]
        return optimiser


class Classifier(NamedTuple):
    """A trained encoder with its head, and the training FLOPs that it cost."""

    objective: CrossEntropy
    flops: int

    @torch.inference_mode()
    def log_shares(
        self, store: Store, items: Int64[np.ndarray, " item"]
    ) -> Float[np.ndarray, "item class"]:
        """Log probabilities of the classes, in eval mode.

        Raises:
            ValueError: if a feature is not finite.
        """
        self.objective.eval()
        features = torch.from_numpy(embed(self.objective.encoder, store, items))
        logits = self.objective.classifier(features).double()
        log_shares: np.ndarray = F.log_softmax(logits, 1).numpy()
        return log_shares


def train(
    how: FineTuning,
    lr: float,
    encoder: Encoder,
    store: Store,
    items: Int64[np.ndarray, " item"],
    *,
    task: str,
    label: str,
) -> Classifier:
    """Train a copy of the encoder and a new head on some items, to the end of the budget.

    Raises:
        ValueError: if the budget does not buy a step.
        FloatingPointError: if the loss is not finite.
    """
    torch.manual_seed(how.seed)
    objective = how.objective(copy.deepcopy(encoder), store.spec(task)).train()
    batch_size = min(how.trainer.batch_size, len(items))
    data = StoreData(
        Labelled(store, items),
        batch_size=batch_size,
        seed=how.seed,
        task=task,
        column=getattr(how.views, "column", None),
    )
    module = FineTuningModule(
        objective,
        views=how.views,
        optimiser=how.optimisers[lr],
        schedule=how.schedule,
        weight_decay=how.weight_decay,
        num_steps=None,
        seconds=how.budget.seconds,
        seed=how.seed,
        layer_decay=how.layer_decay,
    )
    price = Price.of(
        data, lambda step: count_flops(objective, module.make_views(data.batch(step), step))
    )
    module.num_steps = how.budget.num_steps(price, samples_per_step=batch_size)
    num_steps = fit(module, data, how.trainer, price=price, label=label)
    return Classifier(objective.cpu(), price.upto(num_steps))


def fit(
    module: FineTuningModule,
    data: StoreData,
    settings: TrainerSettings,
    *,
    price: Price,
    label: str,
) -> int:
    """Train to the end of the budget; the number of steps. Errors as `train`."""
    every = 10 if module.num_steps is None else max(1, module.num_steps // NUM_CHECKS)
    callbacks = [
        Cost(stream=data.stream, batch_size=data.batch_size),
        Recorder(every=every, price=price, samples_per_step=data.batch_size, writer=None),
        ProgressBar(label=label, batch_size=data.batch_size),
    ]
    return run_trainer(module, data, settings, callbacks)
