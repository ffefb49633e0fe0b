"""The order of samples as a function of (seed, step): shuffled, by length, or stratified."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from jaxtyping import Int64

from trivium.data.errors import DataError


def num_batches_per_epoch(num_samples: int, batch_size: int) -> int:
    """Whole batches in one pass over `num_samples`; the incomplete last one is dropped."""
    return num_samples // batch_size


@lru_cache(maxsize=2)
def permutation(seed: int, epoch: int, size: int) -> np.ndarray:
    """A permutation of `size` positions, the same for the same seed and epoch; read-only."""
    order = np.random.Generator(np.random.PCG64([seed, epoch])).permutation(size)
    order.setflags(write=False)
    return order


def batch_indices(
    pool: Int64[np.ndarray, " pool"],
    *,
    seed: int,
    step: int,
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    order: Callable[[int, int, int], np.ndarray] = permutation,
) -> Int64[np.ndarray, " batch"]:
    """The samples of step `step`: each epoch is a fresh permutation given by (seed, epoch).

    Args:
        pool: Indices to draw from, usually a split.
        seed: Seed of the run's data order.
        step: Global step from 0; the epoch follows from it.
        batch_size: Samples of a step over *all* ranks together, so that results do not depend
            on the number of devices; `world_size` must divide it.
        rank: This process, in [0, world_size).
        world_size: Number of processes; their shares of a step are disjoint and make up
            exactly the batch of a single process.
        order: Gives an epoch's order of the pool from (seed, epoch, size).

    Returns:
        `batch_size / world_size` members of the pool.

    Raises:
        DataError: the pool is smaller than a batch, or ranks and batch size do not fit.
    """
    if batch_size < 1 or batch_size % world_size or not 0 <= rank < world_size:
        raise DataError(
            f"rank {rank} of {world_size} cannot share a batch of {batch_size}: "
            "the number of processes must divide the batch size"
        )
    num_batches = num_batches_per_epoch(len(pool), batch_size)
    if num_batches == 0:
        raise DataError(
            f"a batch of {batch_size} does not fit into {len(pool)} samples: "
            "choose a smaller batch size"
        )
    epoch, position = divmod(step, num_batches)
    share = batch_size // world_size
    start = position * batch_size + rank * share
    return np.take(pool, order(seed, epoch, len(pool))[start : start + share])


WINDOW = 32
"""Batches that are sorted together: enough for little padding, few enough to stay mixed."""


class Order(ABC):
    """An epoch's order of the pool as a pure function of the seed and the epoch.

    Args:
        values: Of each sample of the pool: what the order depends on.
        batch_size: Samples of a step.
    """

    def __init__(self, values: Int64[np.ndarray, " pool"], *, batch_size: int) -> None:
        self.values = values
        self.batch_size = batch_size
        self._order = lru_cache(maxsize=2)(self._make)

    def __call__(self, seed: int, epoch: int, size: int) -> Int64[np.ndarray, " pool"]:
        """Positions in the pool: those of its whole batches first."""
        return self._order(seed, epoch, size)

    @abstractmethod
    def _make(self, seed: int, epoch: int, size: int) -> np.ndarray: ...


class Buckets(Order):
    """An epoch's permutation, sorted by length within windows of 32 batches, batches reshuffled.

    Which samples meet in a window is random and new in each epoch, so is the order of the
    batches; within a batch lengths are alike, so that little is padded. The values are the tokens
    of each sample, as they will be seen.
    """

    def _make(self, seed: int, epoch: int, size: int) -> np.ndarray:
        order = permutation(seed, epoch, size)
        num_batches = size // self.batch_size
        whole = num_batches * self.batch_size
        batches = [
            window[np.argsort(self.values[window], kind="stable")].reshape(-1, self.batch_size)
            for window in np.split(
                order[:whole], np.arange(WINDOW, num_batches, WINDOW) * self.batch_size
            )
        ]
        shuffled = np.random.Generator(np.random.PCG64([seed, epoch, 1])).permutation(num_batches)
        order = np.concatenate([np.concatenate(batches)[shuffled].ravel(), order[whole:]])
        order.setflags(write=False)
        return order


class Strata(Order):
    """An epoch whose batches hold samples of one stratum each, such as one language.

    Every stratum gets batches in proportion to its samples (largest remainders); its samples come
    in a fresh order, from the beginning again where its last batch is not full. The values are the
    stratum of each sample, none smaller than a batch.
    """

    def _make(self, seed: int, epoch: int, size: int) -> np.ndarray:
        generator = np.random.Generator(np.random.PCG64([seed, epoch, 2]))
        num_batches = size // self.batch_size
        names, counts = np.unique(self.values, return_counts=True)
        batches = []
        for name, share in zip(names, _shares(counts, num_batches), strict=True):
            members = generator.permutation(np.flatnonzero(self.values == name))
            batches.append(np.resize(members, (share, self.batch_size)))
        shuffled = generator.permutation(num_batches)
        order: np.ndarray = np.concatenate(batches)[shuffled].ravel()
        order.setflags(write=False)
        return order


def _shares(counts: np.ndarray, total: int) -> Int64[np.ndarray, " stratum"]:
    """Whole numbers in proportion to the counts that sum to the total."""
    exact = counts / counts.sum() * total
    shares: np.ndarray = np.floor(exact).astype(np.int64)
    last = np.argsort(shares - exact, kind="stable")[: total - shares.sum()]
    shares[last] += 1
    return shares
