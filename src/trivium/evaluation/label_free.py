"""What is recorded of an encoder without labels, and with other probes of it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from trivium.data.store import Store
from trivium.evaluation.checks import CollapsedError, unit_rows
from trivium.evaluation.protocol import Protocol
from trivium.evaluation.representation import alignment, alpha_req, lidar, rankme, uniformity
from trivium.evaluation.results import Evaluation, Record, record

PROBE = "diagnostics"
SPLIT = "validation"
"""Whose items it is measured on: choosing by it costs no test item."""
MEASURES: dict[str, Callable[[Any], float | None]] = {
    "rankme": rankme,
    "alpha_req": alpha_req,
    "uniformity": uniformity,
    "alignment": alignment,
    "lidar": lidar,
}
OF_VIEWS = ("alignment", "lidar")


@dataclass(frozen=True, kw_only=True)
class LabelFree:
    """Settings of the diagnostics; a default lives here and in conf/label_free alike.

    Attributes:
        num_items: Validation items at most, the same for every encoder.
        num_views: Random views of each.
        views: Recipes by modality, and of `wave` for encoders of waves.
    """

    num_items: int = 512
    num_views: int = 8
    views: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.num_items < 4 or self.num_views < 2:
            raise ValueError(
                "num_items must be at least 4 and num_views at least 2, got "
                f"{self.num_items} and {self.num_views}"
            )

    def recipe(self, modality: str, column: str | None) -> Any:
        """What makes views for an encoder of a modality; None if there is no such recipe."""
        return self.views.get("wave" if column == "wave" else modality)

    def items(self, store: Store) -> Int64[np.ndarray, " item"]:
        """The items, in a random order that depends on the split alone."""
        held_out = np.asarray(store.split(SPLIT), np.int64)
        order = np.random.default_rng(0).permutation(len(held_out))
        return held_out[order[: self.num_items]]


def with_label_free(
    evaluation: Evaluation,
    features: Float[np.ndarray, "item channel"],
    views: Float[np.ndarray, "item view channel"] | None,
    task: str,
) -> Evaluation:
    """The evaluation with records of the diagnostics, and with the features that CKA compares.

    A diagnostic that is not defined on these features (a collapsed encoder's) is left out.

    Args:
        evaluation: What was measured with labels.
        features: Of the items of `LabelFree.items`.
        views: Of several views of the same items, if there are any.
        task: The task that the records name.
    """
    records: list[Record] = []
    for name, measure in MEASURES.items():
        values = views if name in OF_VIEWS else features
        with suppress(CollapsedError):
            found = None if values is None else measure(values)
            if found is not None:
                records.append(record(task, PROBE, name, found, len(features), split=SPLIT))
    # Centred and of unit variance, in half precision: all that CKA needs.
    centred = features - features.mean(0)
    compact = (centred / (centred.std() or 1.0)).astype(np.float16)
    return replace(evaluation, records=(*evaluation.records, *records), features=compact)


COMMON, UNIT = "one scale", "unit length"
"""Features as they are (centred, all scaled by one number), or each item's at unit length first."""


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What is varied; a default lives here and in conf/sensitivity alike.

    Attributes:
        fraction: Share of labels at which it is measured; with few of them solves are small.
        num_draws: Label draws, the first of the protocol's.
    """

    fraction: float = 0.1
    num_draws: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1 or self.num_draws < 1:
            raise ValueError(
                "fraction must lie in (0, 1] and num_draws be at least 1, got "
                f"{self.fraction} and {self.num_draws}"
            )

    def items(self, store: Store, task: str) -> Int64[np.ndarray, " item"]:
        """Whose features are asked for: of the label draws and of test."""
        drawn = [part for n in self.draws() for part in store.fraction(self.fraction, n, task)]
        return np.unique(np.concatenate([np.asarray(store.split("test")), *drawn]))

    def draws(self) -> range:
        """Numbers of the label draws."""
        return range(self.num_draws if self.fraction < 1 else 1)


def with_sensitivity(
    evaluation: Evaluation,
    features: Float[np.ndarray, "item channel"],
    layers: Float[np.ndarray, "item layer channel"] | None,
    store: Store,
    protocol: Protocol,
    settings: Sensitivity,
) -> Evaluation:
    """The evaluation with test accuracies of varied linear probes.

    Their records and predictions name the probe `linear/VARIATION`: `layer 0` (behind the stem),
    `layer 1` and so on, `one scale`, `unit length`. C is chosen on validation each time, as the
    protocol does; nothing is chosen among the variations.

    Args:
        evaluation: What the protocol measured; its task is asked.
        features: Of every item.
        layers: Of every item and layer, those of `Sensitivity.items` filled; None where an encoder
            has none.
        store: Splits, labels and label fractions.
        protocol: Its values of C and tolerance.
        settings: What is varied.
    """
    task = str(evaluation.facts["task"])
    labels, test = np.asarray(store.labels(task), dtype=np.int64), np.asarray(store.split("test"))
    tables = {COMMON: features, UNIT: unit_rows(np.asarray(features))}
    if layers is not None:
        tables |= {f"layer {number}": layers[:, number] for number in range(layers.shape[1])}
    records: list[Record] = []
    predictions = dict(evaluation.predictions)
    for name, table in tables.items():
        for draw in settings.draws():
            train, validation = store.fraction(settings.fraction, draw, task)
            probe = protocol.linear(common_scale=name == COMMON)
            held_out = (table[validation], labels[validation])
            probe.fit(table[train], labels[train], validation=held_out)
            found = probe.predict(table[test])
            predictions[f"linear/{name}/{settings.fraction}/{draw}"] = found.astype(np.int16)
            value = float(np.mean(found == labels[test]))
            where: dict[str, Any] = {"fraction": settings.fraction, "draw": draw}
            made = record(task, f"linear/{name}", "accuracy", value, len(test), **where)
            records.append({**made, **probe.chosen_})
    return replace(evaluation, records=(*evaluation.records, *records), predictions=predictions)
