"""Fine-tuning: an encoder and a linear head learn from labels."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch.nn import functional as F
from torch.optim import Optimizer

from trivium.data.store import Labelled, Store
from trivium.evaluation.metrics import measure
from trivium.evaluation.protocol import PROTOCOL, Protocol
from trivium.evaluation.results import Evaluation, Record, record
from trivium.features import embed
from trivium.objectives.supervised.cross_entropy import CrossEntropy
from trivium.training.budget import Budget, StepCost, count_flops
from trivium.training.callbacks.metric_logger import MetricLogger, Throughput
from trivium.training.callbacks.progress import ProgressBar
from trivium.training.datamodule import StoreData
from trivium.training.module import SupervisedPretraining, ViewsRecipe
from trivium.training.optimizer import SCALE, OptimiserFactory, layer_groups
from trivium.training.settings import TrainerSettings
from trivium.training.trainer import run_trainer
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
    price = StepCost.of(
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
    price: StepCost,
    label: str,
) -> int:
    """Train to the end of the budget; the number of steps. Errors as `train`."""
    every = 10 if module.num_steps is None else max(1, module.num_steps // NUM_CHECKS)
    callbacks = [
        Throughput(stream=data.stream, batch_size=data.batch_size),
        MetricLogger(every=every, price=price, samples_per_step=data.batch_size, writer=None),
        ProgressBar(label=label, batch_size=data.batch_size),
    ]
    return run_trainer(module, data, settings, callbacks)


PROBE = "finetune"
"""The name of its records and predictions."""


class Chosen(NamedTuple):
    """The learning rate of the lowest cross-entropy on validation, and what it reached there."""

    lr: float
    accuracy: float
    cross_entropy: float


class FineTuningEvaluation(NamedTuple):
    """Who is fine-tuned on what."""

    how: FineTuning
    encoder: Encoder
    store: Store
    task: str
    label: str

    def train(self, lr: float, items: Int64[np.ndarray, " item"], what: str) -> Classifier:
        """A new training; errors as `trivium.training.finetune.train`."""
        label = f"{self.label}, {what}, lr {lr:g}"
        return train(self.how, lr, self.encoder, self.store, items, task=self.task, label=label)

    def choose(
        self, items: Int64[np.ndarray, " item"], validation: Int64[np.ndarray, " held"], what: str
    ) -> Chosen:
        """Try every learning rate; one at which the training breaks down has lost.

        Raises:
            FloatingPointError: if it breaks down at all of them.
        """
        targets = np.take(self.store.labels(self.task), validation)
        tried: list[Chosen] = []
        for lr in self.how.optimisers:
            try:
                classifier = self.train(lr, items, what)
            except FloatingPointError as error:
                broken = error
                continue
            log_shares = classifier.log_shares(self.store, validation)
            entropy = -log_shares[np.arange(len(targets)), targets].mean()
            accuracy = (log_shares.argmax(1) == targets).mean()
            tried.append(Chosen(lr, float(accuracy), float(entropy)))
        if not tried:
            raise broken
        return min(tried, key=lambda one: one.cross_entropy)


def finetune(
    how: FineTuning,
    encoder: Encoder,
    store: Store,
    protocol: Protocol,
    facts: Mapping[str, Any],
    *,
    checkpoint: str,
    task: str,
) -> Evaluation:
    """Fine-tune on every label draw of the protocol and measure on the test items.

    As for a linear probe, the hyperparameter (here the learning rate) is the one of the lowest
    validation cross-entropy, the last training is on train and validation items of the draw
    together, and the test items are predicted once, after its last step.

    Args:
        how: Every training costs its budget.
        encoder: The pretrained encoder; it is left as it is.
        store: Whose labels.
        protocol: Its fractions and draws.
        facts: Of the encoder.
        checkpoint: Its hash.
        task: Whose labels are learnt.

    Raises:
        ValueError: if the budget does not buy a step.
        FloatingPointError: if no learning rate keeps the loss finite.
    """
    examined = FineTuningEvaluation(
        how, encoder, store, task, f"{facts['objective']}-{facts['seed']}"
    )
    test = np.asarray(store.split("test"))
    targets = np.take(store.labels(task), test)
    records: list[Record] = []
    predictions: dict[str, np.ndarray] = {"labels": targets.astype(np.int16)}
    groups = store.groups()
    if groups is not None:
        predictions["groups"] = np.unique(groups[test], return_inverse=True)[1].astype(np.int32)
    flops = []
    for fraction, draw in protocol.draws():
        what = f"{fraction:.0%} of labels, draw {draw}"
        known = store.fraction(fraction, draw, task)
        chosen = examined.choose(*known, what)
        classifier = examined.train(chosen.lr, np.sort(np.concatenate(known)), what)
        shares = np.exp(classifier.log_shares(store, test))
        flops.append(classifier.flops)
        predictions[f"{PROBE}/{fraction}/{draw}"] = shares.argmax(1).astype(np.int16)
        found = {"accuracy": chosen.accuracy, "cross_entropy": chosen.cross_entropy}
        rows = [
            *(("validation", len(known[1]), *one) for one in found.items()),
            *(("test", len(test), *one) for one in measure(shares, targets).items()),
        ]
        records += [
            record(task, PROBE, metric, value, num, fraction=fraction, draw=draw, split=split)
            | {"lr": chosen.lr}
            for split, num, metric, value in rows
        ]
    about = {
        **facts,
        "finetuning": {"flops": max(flops), "layer_decay": how.layer_decay, "seed": how.seed},
    }
    return Evaluation(PROTOCOL, checkpoint, about, tuple(records), predictions)
