"""How much a result hangs on how it is measured: other layers, other scalings of the features."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from trivium.probes.evaluation import Evaluation, Record, record
from trivium.probes.inputs import unit_rows
from trivium.probes.protocol import LabelledStore, Protocol

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
