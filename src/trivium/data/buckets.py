"""The order of an epoch in which the texts of a batch are about equally long."""

from functools import lru_cache

import numpy as np
from jaxtyping import Int64

from trivium.data.order import permutation

WINDOW = 32
"""Batches that are sorted together: enough for little padding, few enough to stay mixed."""


class Buckets:
    """An epoch's permutation, sorted by length within windows of 32 batches, batches reshuffled.

    Which samples meet in a window is random and new in each epoch, so is the order of the
    batches; within a batch lengths are alike, so that little is padded. A pure function of the
    seed and the epoch.

    Args:
        lengths: Tokens of each sample of the pool, as they will be seen.
        batch_size: Samples of a step.
    """

    def __init__(self, lengths: Int64[np.ndarray, " pool"], *, batch_size: int) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self._order = lru_cache(maxsize=2)(self._make)

    def __call__(self, seed: int, epoch: int, size: int) -> Int64[np.ndarray, " pool"]:
        """Positions in the pool; those behind the last whole batch come last."""
        return self._order(seed, epoch, size)

    def _make(self, seed: int, epoch: int, size: int) -> np.ndarray:
        order = permutation(seed, epoch, size)
        num_batches = size // self.batch_size
        whole = num_batches * self.batch_size
        batches = [
            window[np.argsort(self.lengths[window], kind="stable")].reshape(-1, self.batch_size)
            for window in np.split(
                order[:whole], np.arange(WINDOW, num_batches, WINDOW) * self.batch_size
            )
        ]
        shuffled = np.random.Generator(np.random.PCG64([seed, epoch, 1])).permutation(num_batches)
        order = np.concatenate([np.concatenate(batches)[shuffled].ravel(), order[whole:]])
        order.setflags(write=False)
        return order
