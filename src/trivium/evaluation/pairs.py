"""Retrieval under the protocol: every direction between the modalities of a store."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from trivium.evaluation.pair_search import PairStore, Search, directions, drawn
from trivium.evaluation.protocol import PROTOCOL
from trivium.evaluation.results import Evaluation, Record, record
from trivium.evaluation.retrieval import Ranks, measures, modality_gap, rank, retrieval
from trivium.types import Modality

PROBE = "retrieval"
OF_STRATA = ("recall@5", "chance@5")
"""What is recorded of each stratum, too."""

Scores: TypeAlias = Callable[[Search], Float[np.ndarray, "query candidate"] | None]
"""The similarity of all candidates of a search to each query; None where there is none."""
Found: TypeAlias = tuple[Ranks, Mapping[str, float]]
"""What a search found, and what else is to be recorded of it."""


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
    stratum (`recall@5/german`). The predictions are ranks (from 0), with zeros as labels. Where
    candidates are limited and groups have several items, all of it is of five draws of one item of
    each (`drawn`), and the queries of all draws are of the same groups in the same order.

    Args:
        joint: Features of every row of each part, in one space.
        store: Items, splits, strata and groups.
        facts: What identifies the checkpoint; task and modality are set here.
        checkpoint: Its hash.
        candidates: So many groups of test items of each stratum at most are asked and searched,
            so that chance is comparable between datasets.
        seed: Of the choice of those.

    Raises:
        ValueError: features that are not finite.
    """

    def searched(search: Search) -> Found:
        queries, others = joint[search.first], joint[search.second]
        ranks = retrieval(
            queries[search.queries], others[search.candidates], search.right, search.strata
        )
        gap = modality_gap(queries[np.unique(search.queries)], others[np.unique(search.candidates)])
        return ranks, {"modality_gap": gap}

    return _evaluations(searched, store, facts, checkpoint, candidates, seed)


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

    def searched(search: Search) -> Found | None:
        similarity = scores(search)
        if similarity is None:
            return None
        return rank(similarity, search.right, search.strata), {}

    return _evaluations(searched, store, facts, checkpoint, candidates, seed)


def _evaluations(
    searched: Callable[[Search], Found | None],
    store: PairStore,
    facts: Mapping[str, Any],
    checkpoint: str,
    candidates: int | None,
    seed: int,
) -> list[Evaluation]:
    """One of every direction in which something was found, over all of its draws."""
    evaluations = []
    for first, second in directions(store):
        draws = drawn(store, first, second, most=candidates, seed=seed)
        found = [one for search in draws if (one := searched(search)) is not None]
        if found:
            evaluations.append(_evaluation(draws[0], found, store, facts, checkpoint))
    return evaluations


def _evaluation(
    search: Search,
    found: Sequence[Found],
    store: PairStore,
    facts: Mapping[str, Any],
    checkpoint: str,
) -> Evaluation:
    facts = {**facts, "task": search.task, "modality": store.meta.modality}
    num = len(search.queries)
    records = [one for draw, own in enumerate(found) for one in _records(search, *own, store, draw)]
    predictions = {
        f"{PROBE}/1.0/{draw}": ranks.ranks.astype(np.int32) for draw, (ranks, _) in enumerate(found)
    }
    predictions["labels"] = np.zeros(num, np.int32)
    if search.groups is not None:
        predictions["groups"] = search.groups.astype(np.int32)
    if search.strata is not None:
        predictions["strata"] = search.strata[0].astype(np.int16)
    return Evaluation(PROTOCOL, checkpoint, facts, tuple(records), predictions)


def _records(
    search: Search, ranks: Ranks, more: Mapping[str, float], store: PairStore, draw: int
) -> list[Record]:
    """All measures of one draw, and the main ones of each stratum."""
    num = len(ranks.ranks)
    measured = {**measures(ranks), **more}
    records = [record(search.task, PROBE, *pair, num, draw=draw) for pair in measured.items()]
    strata = np.zeros(0, np.int64) if search.strata is None else search.strata[0]
    for number in np.unique(strata):
        own = ranks.of(strata == number)
        within, name = measures(own), store.meta.strata[number]
        for metric in OF_STRATA:
            pair = (f"{metric}/{name}", within[metric])
            records.append(record(search.task, PROBE, *pair, len(own.ranks), draw=draw))
    return records
