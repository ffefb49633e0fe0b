"""The protocol's evaluation of fine-tuning: its label draws, chosen on validation, tested once."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64

from trivium.data.store import Store
from trivium.pretraining.finetuning import Classifier, FineTuning, train
from trivium.probes.evaluation import Evaluation, Record, record
from trivium.probes.metrics import measure
from trivium.probes.protocol import PROTOCOL, Protocol
from trivium.types import Encoder

PROBE = "finetune"
"""The name of its records and predictions."""


class Chosen(NamedTuple):
    """The learning rate of the lowest cross-entropy on validation, and what it reached there."""

    lr: float
    accuracy: float
    cross_entropy: float


class Examination(NamedTuple):
    """Who is fine-tuned on what."""

    how: FineTuning
    encoder: Encoder
    store: Store
    task: str
    label: str

    def train(self, lr: float, items: Int64[np.ndarray, " item"], what: str) -> Classifier:
        """A new training; errors as `trivium.pretraining.finetuning.train`."""
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
    examined = Examination(how, encoder, store, task, f"{facts['objective']}-{facts['seed']}")
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
