"""What the protocol records of an encoder without any label."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from trivium.probes.diagnostics import (
    alignment,
    alpha_req,
    lidar,
    rankme,
    uniformity,
)
from trivium.probes.evaluation import Evaluation, Record, record
from trivium.probes.inputs import CollapsedError
from trivium.probes.protocol import LabelledStore

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
