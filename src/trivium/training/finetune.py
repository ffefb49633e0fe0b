"""Fine-tuning: an encoder and a linear head learn from labels, under the protocol."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch.nn import functional as F

from trivium.data.store import Labelled, Store
from trivium.evaluation.metrics import measure
from trivium.evaluation.protocol import PROTOCOL, Protocol, true_labels
from trivium.evaluation.results import Evaluation, Record, record
from trivium.features import embed
from trivium.objectives.supervised.cross_entropy import CrossEntropy
from trivium.training.budget import Budget
from trivium.training.callbacks.metric_logger import MetricLogger, Throughput
from trivium.training.callbacks.progress import ProgressBar
from trivium.training.datamodule import StoreData
from trivium.training.module import TrainingModule
from trivium.training.optimizer import OptimiserFactory
from trivium.training.settings import TrainerSettings, ViewsRecipe
from trivium.training.trainer import apply_budget, fit
from trivium.types import DataSpec, Encoder

PROBE = "finetune"
"""The name of its records and predictions."""
NUM_CHECKS = 20
"""How often the loss is read: one that is not finite ends the training."""


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """Everything that one fine-tuning is made of.

    `objective` puts a head for some data on an encoder; `optimisers` are by learning rate, to
    choose from on validation; `schedule` maps progress to a learning rate factor; `budget` is what
    one training may spend; of `trainer` the batch size is lowered to the number of labelled items
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


class Classifier(NamedTuple):
    """A trained encoder with its head, and the training FLOPs that it cost."""

    objective: CrossEntropy
    flops: int

    @torch.inference_mode()
    def log_probabilities(
        self, store: Store, items: Int64[np.ndarray, " item"]
    ) -> Float[np.ndarray, "item class"]:
        """Log probabilities of the classes, in eval mode.

        Raises:
            ValueError: if a feature is not finite.
        """
        self.objective.eval()
        features = torch.from_numpy(embed(self.objective.encoder, store, items))
        logits = self.objective.classifier(features).double()
        found: np.ndarray = F.log_softmax(logits, 1).numpy()
        return found


def finetune(
    settings: FineTuning,
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

    Every training spends the whole budget. `encoder` is left as it is; `facts` and the hash
    `checkpoint` are the encoder's.

    Raises:
        ValueError: if the budget does not buy a step.
        FloatingPointError: if no learning rate keeps the loss finite.
    """
    name = f"{facts['objective']}-{facts['seed']}"
    learn = partial(train_classifier, settings, encoder, store, task)
    test, predictions = np.asarray(store.split("test")), true_labels(store, task)
    targets = np.take(store.labels(task), test)
    records: list[Record] = []
    flops = 0
    for fraction, draw in protocol.draws():
        label = f"{name}, {fraction:.0%} of labels, draw {draw}"
        train, validation = store.fraction(fraction, draw, task)
        reached = try_rates(learn, settings.optimisers, store, train, validation, task, label)
        lr = min(reached, key=lambda one: reached[one]["cross_entropy"])
        classifier = learn(lr, np.sort(np.concatenate([train, validation])), label)
        probabilities = np.exp(classifier.log_probabilities(store, test))
        predictions[f"{PROBE}/{fraction}/{draw}"] = probabilities.argmax(1).astype(np.int16)
        flops = max(flops, classifier.flops)
        measured = {
            "validation": (reached[lr], len(validation)),
            "test": (measure(probabilities, targets), len(test)),
        }
        where: dict[str, Any] = {"fraction": fraction, "draw": draw}
        records += [
            record(task, PROBE, metric, value, num, split=split, **where) | {"lr": lr}
            for split, (values, num) in measured.items()
            for metric, value in values.items()
        ]
    finetuning = {"flops": flops, "layer_decay": settings.layer_decay, "seed": settings.seed}
    known = {**facts, "finetuning": finetuning}
    return Evaluation(PROTOCOL, checkpoint, known, tuple(records), predictions)


def try_rates(
    learn: Callable[[float, np.ndarray, str], Classifier],
    rates: Iterable[float],
    store: Store,
    train: Int64[np.ndarray, " item"],
    validation: Int64[np.ndarray, " validation"],
    task: str,
    label: str,
) -> dict[float, dict[str, float]]:
    """What each learning rate reaches on validation; one at which it breaks down is left out.

    Raises:
        FloatingPointError: if the training breaks down at all of them.
    """
    targets = np.take(store.labels(task), validation)
    reached: dict[float, dict[str, float]] = {}
    for lr in rates:
        try:
            found = learn(lr, train, label).log_probabilities(store, validation)
        except FloatingPointError as error:
            broken = error
            continue
        reached[lr] = {
            "accuracy": float((found.argmax(1) == targets).mean()),
            "cross_entropy": float(-found[np.arange(len(targets)), targets].mean()),
        }
    if not reached:
        raise broken
    return reached


def train_classifier(
    settings: FineTuning,
    encoder: Encoder,
    store: Store,
    task: str,
    lr: float,
    items: Int64[np.ndarray, " item"],
    label: str,
) -> Classifier:
    """Train a copy of the encoder and a new head on some items, to the end of the budget.

    Raises:
        ValueError: if the budget does not buy a step.
        FloatingPointError: if the loss is not finite.
    """
    torch.manual_seed(settings.seed)
    objective = settings.objective(copy.deepcopy(encoder), store.spec(task)).train()
    batch_size = min(settings.trainer.batch_size, len(items))
    data = StoreData(
        Labelled(store, items),
        batch_size=batch_size,
        seed=settings.seed,
        task=task,
        column=getattr(settings.views, "column", None),
    )
    module = TrainingModule(
        objective,
        views=settings.views,
        optimiser=settings.optimisers[lr],
        schedule=settings.schedule,
        weight_decay=settings.weight_decay,
        seed=settings.seed,
        layer_decay=settings.layer_decay,
    )
    step_cost = apply_budget(settings.budget, module, data)
    every = 10 if module.num_steps is None else max(1, module.num_steps // NUM_CHECKS)
    callbacks = [
        Throughput(stream=data.stream, batch_size=batch_size),
        MetricLogger(every=every, step_cost=step_cost, samples_per_step=batch_size, writer=None),
        ProgressBar(label=f"{label}, lr {lr:g}", batch_size=batch_size),
    ]
    num_steps = fit(module, data, settings.trainer, callbacks)
    return Classifier(objective.cpu(), step_cost.upto(num_steps))
