"""The evaluation protocol: which probes see which labels, and what is recorded of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from trivium.data.store import Store
from trivium.evaluation.checks import Features
from trivium.evaluation.knn import KNNProbe
from trivium.evaluation.linear import VALUES_OF_C, LinearProbe
from trivium.evaluation.metrics import NUM_BINS, measure
from trivium.evaluation.results import Evaluation, Record, record

PROTOCOL = "3"
"""Version that every result carries; a change that moves a number raises it.

2: retrieval among limited candidates is the mean over five draws of one item of each group.
3: the linear probe tries no larger C once the validation cross-entropy is a tenth above the best.
"""

PROBES = ("linear", "knn")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Settings of the evaluation; a default lives here and in conf/probe alike.

    Attributes:
        fractions: Label fractions in (0, 1].
        num_draws: Label draws of each fraction below 1.0 (at 1.0 there is one).
        probes: `linear` and `knn`, or one of them.
        C: Values to choose from of the linear probe.
        tolerance: Its relative distance to the minimum of the objective.
        max_iterations: Its limit.
        neighbours: Values of k of the kNN probe.
        temperature: Of its vote.
        num_bins: Bins of the calibration error.
    """

    fractions: Sequence[float] = (0.01, 0.1, 1.0)
    num_draws: int = 5
    probes: Sequence[str] = PROBES
    C: Sequence[float] = VALUES_OF_C
    tolerance: float = 5e-8
    max_iterations: int = 2000
    neighbours: Sequence[int] = (1, 5, 20, 200)
    temperature: float = 0.07
    num_bins: int = NUM_BINS

    def __post_init__(self) -> None:
        for name in ("fractions", "probes", "C", "neighbours"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.fractions or not all(0 < fraction <= 1 for fraction in self.fractions):
            raise ValueError(f"fractions must lie in (0, 1], got {self.fractions}")
        if self.num_draws < 1:
            raise ValueError(f"num_draws must be at least 1, got {self.num_draws}")
        unknown = sorted(set(self.probes) - set(PROBES))
        if unknown or not self.probes:
            raise ValueError(f"probes must be some of {list(PROBES)}, got {list(self.probes)}")

    def draws(self) -> Iterator[tuple[float, int]]:
        """Every (fraction, draw)."""
        for fraction in self.fractions:
            for draw in range(self.num_draws if fraction < 1 else 1):
                yield fraction, draw

    def build(self, probe: str) -> LinearProbe | KNNProbe:
        """A new probe of that name."""
        if probe == "knn":
            return KNNProbe(self.neighbours, temperature=self.temperature)
        return self.linear()

    def linear(self, *, common_scale: bool = False) -> LinearProbe:
        """A new linear probe."""
        return LinearProbe(
            self.C,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            common_scale=common_scale,
        )


def evaluate(
    features: Features,
    store: Store,
    protocol: Protocol,
    facts: Mapping[str, Any],
    *,
    checkpoint: str = "",
    task: str = "label",
    variants: Mapping[str, Float[np.ndarray, "item channel"]] | None = None,
) -> Evaluation:
    """Probe frozen features; a probe predicts the test items once, after everything is chosen.

    The same fitted probes also see `variants` of the test items' features, such as those of
    items from which a modality is withheld; their records name the probe `PROBE VARIANT`.

    Args:
        features: Of every item of the store.
        store: Splits, labels and label fractions.
        protocol: The settings.
        facts: What identifies the checkpoint; kept as they are.
        checkpoint: Hash of the checkpoint.
        task: Whose labels are predicted.
        variants: Other features of the test items, by what sets them apart.

    Raises:
        ValueError: features that do not fit the store or are not finite, or a training draw
            that lacks a class.
    """
    labels = np.asarray(store.labels(task), dtype=np.int64)
    if features.shape[0] != len(labels):
        raise ValueError(
            f"there are {features.shape[0]} features for {len(labels)} items: embed the same store"
        )
    test = np.asarray(store.split("test"))
    shown = {"": features[test]} | {f" {name}": own for name, own in (variants or {}).items()}
    records: list[Record] = []
    predictions = true_labels(store, task)
    for fraction, draw in protocol.draws():
        train, validation = (np.asarray(part) for part in store.fraction(fraction, draw, task))
        missing = np.setdiff1d(np.arange(labels.max() + 1), labels[train])
        if len(missing):
            raise ValueError(
                f"draw {draw} of the label fraction {fraction} has no training item of the classes "
                f"{missing.tolist()}: every class needs one"
            )
        held_out = (features[validation], labels[validation])
        for name in protocol.probes:
            probe = protocol.build(name)
            probe.fit(features[train], labels[train], validation=held_out)
            measured = [(name, "validation", len(validation), probe.validation_)]
            for suffix, test_features in shown.items():
                shares = probe.predict_proba(test_features)
                key = f"{name}{suffix}/{fraction}/{draw}"
                predictions[key] = shares.argmax(1).astype(np.int16)
                values = measure(shares, labels[test], num_bins=protocol.num_bins)
                measured.append((name + suffix, "test", len(test), values))
            where: dict[str, Any] = {"fraction": fraction, "draw": draw}
            records += [
                {
                    **record(task, probe_name, metric, value, num, split=split, **where),
                    **probe.chosen_,
                }
                for probe_name, split, num, values in measured
                for metric, value in values.items()
            ]
    return Evaluation(PROTOCOL, checkpoint, dict(facts), tuple(records), predictions)


def true_labels(store: Store, task: str) -> dict[str, np.ndarray]:
    """`labels` of the test items, and their `groups` from 0 where the store has some."""
    test, groups = np.asarray(store.split("test")), store.groups()
    found = {"labels": np.take(store.labels(task), test).astype(np.int16)}
    if groups is not None:
        found["groups"] = np.unique(groups[test], return_inverse=True)[1].astype(np.int32)
    return found
