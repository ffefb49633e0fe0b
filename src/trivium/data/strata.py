"""The order of an epoch in which every batch is of one stratum."""

from functools import lru_cache

import numpy as np
from jaxtyping import Int64


class Strata:
    """An epoch whose batches hold samples of one stratum each, such as one language.

    Every stratum gets batches in proportion to its samples (largest remainders); its samples come
    in a fresh order, from the beginning again where its last batch is not full. A pure function of
    the seed and the epoch.

    Args:
        strata: The stratum of each sample of the pool.
        batch_size: Samples of a step; no stratum may be smaller.
    """

    def __init__(self, strata: Int64[np.ndarray, " pool"], *, batch_size: int) -> None:
        self.strata = strata
        self.batch_size = batch_size
        self._order = lru_cache(maxsize=2)(self._make)

    def __call__(self, seed: int, epoch: int, size: int) -> Int64[np.ndarray, " pool"]:
        """Positions in the pool, as many as fill its whole batches."""
        return self._order(seed, epoch, size)

    def _make(self, seed: int, epoch: int, size: int) -> np.ndarray:
        generator = np.random.Generator(np.random.PCG64([seed, epoch, 2]))
        num_batches = size // self.batch_size
        names, counts = np.unique(self.strata, return_counts=True)
        batches = []
        for name, share in zip(names, _shares(counts, num_batches), strict=True):
            members = generator.permutation(np.flatnonzero(self.strata == name))
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
