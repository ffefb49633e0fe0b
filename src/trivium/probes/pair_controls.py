"""Controls of retrieval under the protocol: what raw features and mere durations find."""

from collections.abc import Iterator, Mapping
from typing import Any

from trivium.probes.duration_control import DurationControl
from trivium.probes.evaluation import Evaluation
from trivium.probes.pairs import Scores, evaluate_scores
from trivium.probes.ridge_retrieval import Features, RidgeRetrieval
from trivium.probes.search import PairStore
from trivium.types import Modality, parts_of


def evaluate_controls(
    features: Mapping[Modality, Features],
    store: PairStore,
    facts: Mapping[str, Any],
    *,
    checkpoint: str,
    candidates: int | None = None,
    seed: int = 0,
) -> Iterator[Evaluation]:
    """`evaluate_scores` of ridge regression, and of durations where there are texts and audio.

    Args:
        features: Raw ones by modality, of every row of its part; see `RidgeRetrieval`.
        store: Items, splits, strata and groups; the part of audio tells its `lengths`.
        facts: Kept, but for the objective (`ridge` or `duration`), the task and the modality.
        checkpoint: What stands for the hash of one.
        candidates: So many items of each stratum at most are asked and searched.
        seed: Of their choice.
    """
    controls: dict[str, Scores] = {
        "ridge": RidgeRetrieval(features, store, most=candidates, seed=seed)
    }
    if {"text", "audio"} <= set(parts_of(store.meta.modality)):
        controls["duration"] = DurationControl(store, store.part("audio").lengths("wave"))
    for name, scores in controls.items():
        yield from evaluate_scores(
            scores,
            store,
            {**facts, "objective": name},
            checkpoint=checkpoint,
            candidates=candidates,
            seed=seed,
        )
