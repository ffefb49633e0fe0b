"""What is recorded of an encoder without labels, and with other probes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from trivium.evaluation.checks import CollapsedError, unit_rows
from trivium.evaluation.protocol import LabelledStore, Protocol
from trivium.evaluation.representation import alignment, alpha_req, lidar, rankme, uniformity
from trivium.evaluation.results import Evaluation, Record, record

PROBE = "diagnostics"
SPLIT = "validation"
"""Whose items it is measured on: choosing by it costs no test item."""


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

    def items(self, store: LabelledStore) -> Int64[np.ndarray, " item"]:
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
    measured = {"rankme": rankme, "alpha_req": alpha_req, "uniformity": uniformity}
    found = {name: _try(measure, features) for name, measure in measured.items()}
    if views is not None:
        found |= {name: _try(m, views) for name, m in (("alignment", alignment), ("lidar", lidar))}
    records: list[Record] = [
        record(task, PROBE, name, value, len(features), split=SPLIT)
        for name, value in found.items()
        if value is not None
    ]
    return replace(evaluation, records=(*evaluation.records, *records), features=_compact(features))


def _try(measure: Callable[[Any], float | None], features: np.ndarray) -> float | None:
    """The value; None where all items have the same features."""
    try:
        return measure(features)
    except CollapsedError:
        return None


def _compact(features: np.ndarray) -> np.ndarray:
    """Centred and of unit variance, in half precision: all that CKA needs."""
    centred = features - features.mean(0)
    scale = centred.std() or 1.0
    found: np.ndarray = (centred / scale).astype(np.float16)
    return found


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

    def items(self, store: LabelledStore, task: str) -> Int64[np.ndarray, " item"]:
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
    store: LabelledStore,
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
    labels = np.asarray(store.labels(task), dtype=np.int64)
    tables = {COMMON: features, UNIT: unit_rows(np.asarray(features))}
    if layers is not None:
        tables |= {f"layer {number}": layers[:, number] for number in range(layers.shape[1])}
    test, targets = np.asarray(store.split("test")), labels[np.asarray(store.split("test"))]
    records: list[Record] = []
    predictions = dict(evaluation.predictions)
    for name, table in tables.items():
        for draw in settings.draws():
            train, held_out = store.fraction(settings.fraction, draw, task)
            probe = protocol.linear(common_scale=name == COMMON)
            probe.fit(table[train], labels[train], validation=(table[held_out], labels[held_out]))
            found = probe.predict(table[test])
            predictions[f"linear/{name}/{settings.fraction}/{draw}"] = found.astype(np.int16)
            value = float(np.mean(found == targets))
            where: Any = {"fraction": settings.fraction, "draw": draw}
            made = record(task, f"linear/{name}", "accuracy", value, len(test), **where)
            records.append(made | {"C": probe.C_})
    return replace(evaluation, records=(*evaluation.records, *records), predictions=predictions)
