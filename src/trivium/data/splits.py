"""Splits of the protocol: validation, nested label fractions, stores with fewer labels."""

import numpy as np
from jaxtyping import Int64

from trivium.data.errors import DataError

SEED = 20260
"""Fixed by the evaluation protocol: every dataset and run shares the same validation split."""
VALIDATION = 0.1
"""Share of each class of train that becomes validation."""
SHARES = 2
"""The stream of the shares that runs learn from (0 and 1 are carvings, from 1000 on draws)."""


def carve(
    pool: Int64[np.ndarray, " pool"],
    labels: Int64[np.ndarray, " sample"] | None,
    share: float = VALIDATION,
    stream: int = 0,
    groups: Int64[np.ndarray, " sample"] | None = None,
) -> tuple[Int64[np.ndarray, " kept"], Int64[np.ndarray, " carved"]]:
    """Split a pool of indices in two, stratified by label; the same input gives the same split.

    Args:
        pool: Indices to divide.
        labels: Class ids of all samples, or None to divide without strata.
        share: Share of each class that is carved, rounded, but at least one sample of every
            class on both sides wherever the class has two.
        stream: Tells independent carvings apart (validation is 0, a missing test split 1).
        groups: Group ids of all samples, or None. Whole groups are carved: `share` is then a
            share of the groups, and a group's class is that of most of its samples in the pool.

    Returns:
        Ascending indices that stay, ascending indices that were carved.
    """
    if groups is not None:
        ids, unit = np.unique(groups[pool], return_inverse=True)
        classes = None if labels is None else _majority(unit, labels[pool], len(ids))
        units = carve(np.arange(len(ids)), classes, share, stream)[1]
        chosen = np.isin(unit, units)
        return np.sort(pool[~chosen]), np.sort(pool[chosen])
    carved = [
        members[_shuffle(len(members), stream, group)[: _count(len(members), share)]]
        for group, members in _strata(pool, labels)
    ]
    part = np.sort(np.concatenate([*carved, np.empty(0, np.int64)])).astype(np.int64)
    return np.setdiff1d(pool, part), part


def label_fraction(
    pool: Int64[np.ndarray, " pool"],
    labels: Int64[np.ndarray, " sample"],
    *,
    fraction: float,
    draw: int,
) -> Int64[np.ndarray, " chosen"]:
    """A stratified share of a pool; shares of one draw are nested, each class has at least one.

    Args:
        pool: Indices to choose from.
        labels: Class ids of all samples.
        fraction: Share in (0, 1] of each class, rounded; 1.0 is the whole pool.
        draw: Number of the draw, from 0.

    Returns:
        Ascending indices.

    Raises:
        DataError: a fraction outside of (0, 1] or a negative draw.
    """
    if not 0 < fraction <= 1 or draw < 0:
        raise DataError(
            f"fraction {fraction}, draw {draw}: expected a fraction in (0, 1], draw >= 0"
        )
    return _nested(pool, labels, fraction, 1000 + draw)


def training_share(
    pool: Int64[np.ndarray, " pool"],
    strata: Int64[np.ndarray, " sample"] | None,
    *,
    fraction: float,
    seed: int,
) -> Int64[np.ndarray, " chosen"]:
    """What a run learns from: a share of each stratum; shares of one seed are nested.

    Chosen apart from the label fractions: an encoder has seen no more of the items whose labels a
    probe gets than of others.

    Args:
        pool: Indices to choose from.
        strata: Class ids of all samples, or None to choose without strata.
        fraction: Share in (0, 1] of each stratum, rounded, but at least one; 1.0 is the whole pool.
        seed: Of the run.

    Returns:
        Ascending indices.
    """
    return _nested(pool, strata, check_share(fraction), SHARES, seed)


def check_share(fraction: float) -> float:
    """A share of the training samples that can be learnt from.

    Raises:
        DataError: if it is outside of (0, 1].
    """
    if not 0 < fraction <= 1:
        raise DataError(
            f"data_fraction is {fraction}; expected a share of the training samples in (0, 1], "
            "1.0 for all of them."
        )
    return fraction


def _nested(
    pool: np.ndarray, labels: np.ndarray | None, fraction: float, *stream: int
) -> Int64[np.ndarray, " chosen"]:
    """The first of each stratum's shuffled members."""
    chosen = [
        members[_shuffle(len(members), *stream, group)[: max(1, round(fraction * len(members)))]]
        for group, members in _strata(pool, labels)
    ]
    return np.sort(np.concatenate([*chosen, np.empty(0, np.int64)])).astype(np.int64)


def _majority(unit: np.ndarray, labels: np.ndarray, num_units: int) -> Int64[np.ndarray, " unit"]:
    """The most frequent label of each unit, the smallest id on a tie."""
    counts = np.zeros((num_units, int(labels.max(initial=0)) + 1), np.int64)
    np.add.at(counts, (unit, labels), 1)
    majority: Int64[np.ndarray, " unit"] = counts.argmax(axis=1)
    return majority


def _strata(
    pool: np.ndarray, labels: np.ndarray | None
) -> list[tuple[int, Int64[np.ndarray, " members"]]]:
    if labels is None:
        return [(0, pool)]
    of_pool = labels[pool]
    return [(int(group), pool[of_pool == group]) for group in np.unique(of_pool)]


def _count(size: int, share: float) -> int:
    return min(max(round(share * size), 1), size - 1)


def _shuffle(size: int, *stream: int) -> np.ndarray:
    # SeedSequence takes no negative words; labels are ids >= 0 by construction of a store.
    return np.random.Generator(np.random.PCG64([SEED, *stream])).permutation(size)
