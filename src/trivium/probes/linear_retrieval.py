"""Linear retrieval: how much of a caption a linear map reads from frozen features."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from trivium.probes.evaluation import Evaluation
from trivium.probes.pairs import evaluate_scores
from trivium.probes.ridge_retrieval import Features, RidgeRetrieval
from trivium.probes.search import PairStore
from trivium.types import Modality


def evaluate_linear_retrieval(
    features: Features,
    texts: Features,
    store: PairStore,
    facts: Mapping[str, Any],
    *,
    modality: Modality,
    checkpoint: str,
    candidates: int | None = None,
    seed: int = 0,
) -> Iterator[Evaluation]:
    """Search texts by features of another modality, and the reverse, by `RidgeRetrieval`.

    The encoder needs no joint space and need not have seen a text, and what texts are compared by
    is the same for every encoder: as a linear probe, it tells encoders apart by their features
    alone. With raw features it is the control of ridge regression.

    Args:
        features: Frozen ones of every row of the part of `modality`.
        texts: Raw ones (tf-idf) of every row of the part of texts.
        store: Items, splits, strata and groups.
        facts: What identifies the checkpoint; task and modality are set here.
        modality: Whose features they are; any but text.
        checkpoint: Its hash.
        candidates: So many items of each stratum at most are asked and searched.
        seed: Of their choice.

    Raises:
        ValueError: the features are those of texts, or no item of train or of validation has both.
    """
    if modality == "text":
        raise ValueError("Linear retrieval searches texts by features of another modality.")
    ridge = RidgeRetrieval({modality: features, "text": texts}, store, most=candidates, seed=seed)
    found = evaluate_scores(
        lambda wanted: (
            ridge(wanted) if {wanted.first, wanted.second} == {*ridge.features} else None
        ),
        store,
        facts,
        checkpoint=checkpoint,
        candidates=candidates,
        seed=seed,
    )
    for one in found:
        yield replace(one, facts={**one.facts, "modality": modality})
