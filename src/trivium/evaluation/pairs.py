"""Retrieval under the protocol: every direction between the modalities of a store."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from trivium.data.store import Store
from trivium.evaluation.pair_search import Search, directions, drawn
from trivium.evaluation.protocol import PROTOCOL
from trivium.evaluation.results import Evaluation, Record, record
from trivium.evaluation.retrieval import Ranks, cosine, measures, modality_gap, rank
from trivium.types import Modality

PROBE = "retrieval"
OF_STRATA = ("recall@5", "chance@5")
"""What is recorded of each stratum, too."""

Scores: TypeAlias = Callable[[Search], Float[np.ndarray, "query candidate"] | None]
"""The similarity of all candidates of a search to each query; None where there is none."""


def evaluate_retrieval(
    joint: Mapping[Modality, Float[np.ndarray, "_ joint"]],
    store: Store,
    facts: Mapping[str, Any],
    *,
    checkpoint: str,
    candidates: int | None = None,
    seed: int = 0,
) -> list[Evaluation]:
    """`evaluate_scores` of the cosine in a joint space, with the modality gap as a record.

    `joint` holds features of every row of each part, in one space.

    Raises:
        ValueError: features that are not finite.
    """

    def scores(search: Search) -> Float[np.ndarray, "query candidate"]:
        return cosine(joint[search.first][search.queries], joint[search.second][search.candidates])

    def gap(search: Search) -> dict[str, float]:
        queries = joint[search.first][np.unique(search.queries)]
        others = joint[search.second][np.unique(search.candidates)]
        return {"modality_gap": modality_gap(queries, others)}

    return evaluate_scores(
        scores, store, facts, checkpoint=checkpoint, candidates=candidates, seed=seed, more=gap
    )


def evaluate_scores(
    scores: Scores,
    store: Store,
    facts: Mapping[str, Any],
    *,
    checkpoint: str,
    candidates: int | None = None,
    seed: int = 0,
    more: Callable[[Search], Mapping[str, float]] = lambda _: {},
) -> list[Evaluation]:
    """Search the test rows of each modality by those of each other one.

    The records are those of `measures`, and recall and chance at 5 of each stratum
    (`recall@5/german`). The predictions are ranks (from 0), with zeros as labels. Where
    candidates are limited and groups have several items, all of it is of five draws of one item of
    each (`drawn`), and the queries of all draws are of the same groups in the same order.

    Args:
        scores: Similarities; a direction for which it returns None is left out.
        store: Items, splits, strata and groups.
        facts: What identifies the checkpoint; task and modality are set here.
        checkpoint: Its hash.
        candidates: So many groups of test items of each stratum at most are asked and searched,
            so that chance is comparable between datasets.
        seed: Of the choice of those.
        more: What else is recorded of a search.
    """
    evaluations = []
    for first, second in directions(store):
        records: list[Record] = []
        predictions: dict[str, np.ndarray] = {}
        for draw, search in enumerate(drawn(store, first, second, most=candidates, seed=seed)):
            similarity = scores(search)
            if similarity is None:
                break
            ranks = rank(similarity, search.right, search.strata)
            records += _records(search, ranks, more(search), store.meta.strata, draw)
            predictions[f"{PROBE}/1.0/{draw}"] = ranks.ranks.astype(np.int32)
        if not records:
            continue
        # Queries of all draws are alike in all but their rows.
        predictions["labels"] = np.zeros(len(search.queries), np.int32)
        if search.groups is not None:
            predictions["groups"] = search.groups.astype(np.int32)
        if search.strata is not None:
            predictions["strata"] = search.strata[0].astype(np.int16)
        known = {**facts, "task": search.task, "modality": store.meta.modality}
        evaluations.append(Evaluation(PROTOCOL, checkpoint, known, tuple(records), predictions))
    return evaluations


def _records(
    search: Search, ranks: Ranks, more: Mapping[str, float], strata: Sequence[str], draw: int
) -> Iterator[Record]:
    """All measures of one draw, and the main ones of each stratum."""
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
