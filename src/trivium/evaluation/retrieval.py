"""Retrieval: ranks of the right candidates by similarity, measures of them, and examples."""

from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int64, Shaped
from scipy import sparse

from trivium.evaluation.checks import unit_rows

TOP = (1, 5, 10)
"""Values of k of recall@k."""
CHUNK = 256
"""Queries that are ranked at a time."""
DIGITS = 9
"""Decimals of a cosine that count: equal features tie, however their products were rounded."""

Pairs: TypeAlias = tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"]]
"""Which candidates are right: the numbers of a query and of a candidate, side by side."""
Strata: TypeAlias = tuple[Int64[np.ndarray, " query"], Int64[np.ndarray, " candidate"]]
"""The stratum of each query and of each candidate."""


class Ranks(NamedTuple):
    """How well each query fared.

    `ranks` are those of the best right candidate, from 0: how many wrong ones come before it. Where
    some are exactly as similar, it is the mean over all orders of the tied ones (half of the wrong
    ones, if one right candidate is tied), rounded up: features that are all alike find nothing.
    `num_candidates` and `num_right` are counted within the query's stratum.
    """

    ranks: Int64[np.ndarray, " query"]
    num_candidates: Int64[np.ndarray, " query"]
    num_right: Int64[np.ndarray, " query"]

    def of(self, chosen: Shaped[np.ndarray, " chosen"]) -> "Ranks":
        """Those of some queries."""
        return Ranks(*(values[chosen] for values in self))


def cosine(
    queries: Float[np.ndarray, "query joint"], candidates: Float[np.ndarray, "candidate joint"]
) -> Float[np.ndarray, "query candidate"]:
    """Cosine similarities, rounded such that equal candidates tie; a vector of zeros has none.

    Raises:
        ValueError: features that are not finite.
    """
    similarity: np.ndarray = (_unit(queries) @ _unit(candidates).T).round(DIGITS)
    return similarity


def rank(
    similarity: Float[np.ndarray, "query candidate"],
    right: Bool[np.ndarray, "query candidate"] | Pairs,
    strata: Strata | None = None,
) -> Ranks:
    """Rank candidates by their similarity to each query.

    Args:
        similarity: Of every candidate to every query.
        right: Which candidates are right; each query needs one in its stratum.
        strata: Each query is compared with the candidates of its own stratum alone.

    Raises:
        ValueError: similarities that are not finite, or a query without any right candidate.
    """
    if not np.isfinite(similarity).all():
        raise ValueError("similarities must be finite")
    named = right.nonzero() if isinstance(right, np.ndarray) else right
    table = sparse.csr_array((np.ones(len(named[0]), bool), named), shape=similarity.shape)
    parts = []
    for first in range(0, len(similarity), CHUNK):
        chosen = slice(first, first + CHUNK)
        block = similarity[chosen]
        allowed = np.ones(block.shape, bool)
        if strata is not None:
            allowed = strata[0][chosen, None] == strata[1]
        is_right = table[chosen].toarray() & allowed
        lost = np.flatnonzero(~is_right.any(1))
        if len(lost):
            raise ValueError(f"query {first + lost[0]} has no right candidate in its stratum")
        best = np.where(is_right, block, -np.inf).max(1, keepdims=True)
        wrong, tied = allowed & ~is_right, block == best
        before = (wrong & (block > best)).sum(1)
        # The mean place of the first of r right ones among w wrong ones is w / (r + 1).
        among = -(-(wrong & tied).sum(1) // ((is_right & tied).sum(1) + 1))
        parts.append((before + among, allowed.sum(1), is_right.sum(1)))
    return Ranks(*(np.concatenate(part).astype(np.int64) for part in zip(*parts, strict=True)))


def measures(ranks: Ranks) -> dict[str, float]:
    """Recall at 1, 5 and 10, the median rank (from 1), and what chance would reach.

    Recall@k is the share of queries of which a right candidate is among the k most similar.
    `chance@k` is its expectation for a random order, `1 - C(N - r, k) / C(N, k)` for N candidates
    of which r are right, averaged over the queries; `num_candidates` is the mean of N.
    """
    found = {f"recall@{k}": float((ranks.ranks < k).mean()) for k in TOP}
    found["median_rank"] = float(np.median(ranks.ranks + 1))
    found |= {f"chance@{k}": float(chance(ranks, k).mean()) for k in TOP}
    return found | {"num_candidates": float(ranks.num_candidates.mean())}


def chance(ranks: Ranks, k: int) -> Float[np.ndarray, " query"]:
    """The probability that a random order puts a right candidate among the first k."""
    missed = np.ones(len(ranks.ranks))
    for drawn in range(k):
        left = ranks.num_candidates - drawn
        missed *= np.clip(left - ranks.num_right, 0, None) / np.maximum(left, 1)
    hit: np.ndarray = 1 - missed
    return hit


def modality_gap(
    first: Float[np.ndarray, "row joint"], second: Float[np.ndarray, "other joint"]
) -> float:
    """Distance between the mean unit vectors of two modalities, between 0 and 2.

    Liang et al. 2022, 2203.02053, section 4.2.
    """
    return float(np.linalg.norm(_unit(first).mean(0) - _unit(second).mean(0)))


def _unit(features: np.ndarray) -> Float[np.ndarray, "row joint"]:
    if not np.isfinite(features).all():
        raise ValueError(f"features must be finite, but {(~np.isfinite(features)).sum()} are not")
    return unit_rows(features)
