"""Retrieval under the protocol: every direction between the modalities of a store."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from trivium.probes.evaluation import Evaluation, record
from trivium.probes.protocol import PROTOCOL
from trivium.probes.retrieval import Ranks, measures, modality_gap, rank, retrieval
from trivium.probes.search import PairStore, Search, searches
from trivium.types import Modality

PROBE = "retrieval"
OF_STRATA = ("recall@5", "chance@5")
"""What is recorded of each stratum, too."""

Scores: TypeAlias = Callable[[Search], Float[np.ndarray, "query candidate"] | None]
"""The similarity of all candidates of a search to each query; None where there is none."""


def evaluate_retrieval(
    joint: Mapping[Modality, Float[np.ndarray, "_ joint"]],
    store: PairStore,
    facts: Mapping[str, Any],
    *,
    checkpoint: str,
    candidates: int | None = None,
    seed: int = 0,
) -> list[Evaluation]:
    """Search the test rows of each modality by those of each other one.

    The records are those of `measures`, the modality gap, and recall and chance at 5 of each
    stratum (`recall@5/german`). The predictions are ranks (from 0), with zeros as labels.

    Args:
        joint: Features of every row of each part, in one space.
        store: Items, splits, strata and groups.
        facts: What identifies the checkpoint; task and modality are set here.
        checkpoint: Its hash.
        candidates: So many test items of each stratum at most are asked and searched, so that
            chance is comparable between datasets.
        seed: Of the choice of those.

    Raises:
        ValueError: features that are not finite.
    """
    found = []
    for search in searches(store, most=candidates, seed=seed):
        queries, others = joint[search.first], joint[search.second]
        ranks = retrieval(
            queries[search.queries], others[search.candidates], search.right, search.strata
        )
        gap = modality_gap(queries[np.unique(search.queries)], others[np.unique(search.candidates)])
        found.append(_evaluation(search, ranks, store, facts, checkpoint, {"modality_gap": gap}))
    return found


def evaluate_scores(
    scores: Scores,
    store: PairStore,
    facts: Mapping[str, Any],
    *,
    checkpoint: str,
    candidates: int | None = None,
    seed: int = 0,
) -> list[Evaluation]:
    """As `evaluate_retrieval`, for what compares pairs without a joint space, such as a control.

    Directions for which `scores` returns None are left out.
    """
    found = []
    for search in searches(store, most=candidates, seed=seed):
        similarity = scores(search)
        if similarity is not None:
            ranks = rank(similarity, search.right, search.strata)
            found.append(_evaluation(search, ranks, store, facts, checkpoint, {}))
    return found


def _evaluation(
    search: Search,
    ranks: Ranks,
    store: PairStore,
    facts: Mapping[str, Any],
    checkpoint: str,
    more: Mapping[str, float],
) -> Evaluation:
    facts = {**facts, "task": search.task, "modality": store.meta.modality}
    measured = {**measures(ranks), **more}
    records = [record(search.task, PROBE, *pair, len(ranks.ranks)) for pair in measured.items()]
    predictions = {
        f"{PROBE}/1.0/0": ranks.ranks.astype(np.int32),
        "labels": np.zeros(len(ranks.ranks), np.int32),
    }
    if search.groups is not None:
        predictions["groups"] = search.groups.astype(np.int32)
    if search.strata is not None:
        predictions["strata"] = search.strata[0].astype(np.int16)
        for number in np.unique(search.strata[0]):
            own = ranks.of(search.strata[0] == number)
            within, name = measures(own), store.meta.strata[number]
            for metric in OF_STRATA:
                pair = (f"{metric}/{name}", within[metric])
                records.append(record(search.task, PROBE, *pair, len(own.ranks)))
    return Evaluation(PROTOCOL, checkpoint, facts, tuple(records), predictions)
