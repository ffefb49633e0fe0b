"""Retrieval under the protocol: every direction between the modalities of a store."""

from collections.abc import Callable, Iterator, Mapping, Sequence
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

    def found(search: Search) -> Found:
        queries, others = joint[search.first], joint[search.second]
        ranks = retrieval(
            queries[search.queries], others[search.candidates], search.right, search.strata
        )
        gap = modality_gap(queries[np.unique(search.queries)], others[np.unique(search.candidates)])
        return ranks, {"modality_gap": gap}

    return list(_evaluations(found, store, facts, checkpoint, candidates, seed))


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

    def found(search: Search) -> Found | None:
        similarity = scores(search)
        return None if similarity is None else (rank(similarity, search.right, search.strata), {})

    return list(_evaluations(found, store, facts, checkpoint, candidates, seed))


def _evaluations(
    find: Callable[[Search], Found | None],
    store: PairStore,
    facts: Mapping[str, Any],
    checkpoint: str,
    candidates: int | None,
    seed: int,
) -> Iterator[Evaluation]:
    """One of every direction in which something was found, over all of its draws."""
    for first, second in directions(store):
        searches = drawn(store, first, second, most=candidates, seed=seed)
        found = [one for search in searches if (one := find(search)) is not None]
        if not found:
            continue
        search = searches[0]
        predictions = {
            f"{PROBE}/1.0/{draw}": ranks.ranks.astype(np.int32)
            for draw, (ranks, _) in enumerate(found)
        }
        predictions["labels"] = np.zeros(len(search.queries), np.int32)
        if search.groups is not None:
            predictions["groups"] = search.groups.astype(np.int32)
        if search.strata is not None:
            predictions["strata"] = search.strata[0].astype(np.int16)
        known = {**facts, "task": search.task, "modality": store.meta.modality}
        records = _records(search, found, store.meta.strata)
        yield Evaluation(PROTOCOL, checkpoint, known, tuple(records), predictions)


def _records(search: Search, found: Sequence[Found], strata: Sequence[str]) -> Iterator[Record]:
    """All measures of each draw, and the main ones of each stratum."""
    for draw, (ranks, more) in enumerate(found):
        num = len(ranks.ranks)
        for metric, value in {**measures(ranks), **more}.items():
            yield record(search.task, PROBE, metric, value, num, draw=draw)
        numbers = np.zeros(0, np.int64) if search.strata is None else search.strata[0]
        for number in np.unique(numbers):
            own = ranks.of(numbers == number)
            within = measures(own)
            for metric in OF_STRATA:
                name = f"{metric}/{strata[number]}"
                yield record(search.task, PROBE, name, within[metric], len(own.ranks), draw=draw)
