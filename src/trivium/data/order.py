"""The order of samples as a pure function of (seed, step), so that a resumed run continues."""

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
