"""Batches for Lightning: batch k is a pure function of the seed and k."""

import time
from collections.abc import Iterator

import numpy as np
import pytorch_lightning as lightning

from trivium.data.batches import gather
from trivium.data.order import batch_indices
from trivium.data.store import Store
from trivium.types import Batch


class StepBatches:
    """An endless stream of batches that starts at whatever step the trainer stands at.

    `waited` sums the seconds that the training loop waited for batches.
    """

    def __init__(self, data: "StoreData") -> None:
        self.data = data
        self.waited = 0.0

    def __iter__(self) -> Iterator[Batch]:
        """Batches from the trainer's current step on."""
        trainer = self.data.trainer
        rank, world_size = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        step = trainer.global_step if trainer else 0
        while True:
            started = time.perf_counter()
            batch = self.data.batch(step, rank=rank, world_size=world_size)
            self.waited += time.perf_counter() - started
            yield batch
            step += 1


class StoreData(lightning.LightningDataModule):
    """The train split of a store, in batches gathered by index.

    `batch_size` is the global batch, divided among the ranks; `task` names the labels, None on
    unlabelled data.

    Raises:
        ValueError: if the train split does not hold one batch.
    """

    def __init__(self, store: Store, *, batch_size: int, seed: int, task: str | None) -> None:
        super().__init__()
        self.store = store
        self.batch_size = batch_size
        self.seed = seed
        self.task = task
        self.pool: np.ndarray = store.split("train")
        self.stream = StepBatches(self)
        if len(self.pool) < batch_size:
            raise ValueError(
                f"The train split of {store.meta.name} has {len(self.pool)} samples, fewer than "
                f"one batch of {batch_size}: lower trainer.batch_size."
            )

    def batch(self, step: int, *, rank: int = 0, world_size: int = 1) -> Batch:
        """The batch of one step."""
        indices = batch_indices(
            self.pool,
            seed=self.seed,
            step=step,
            batch_size=self.batch_size,
            rank=rank,
            world_size=world_size,
        )
        return gather(self.store, indices, self.task)

    def train_dataloader(self) -> StepBatches:
        """The endless stream; the budget ends the run."""
        return self.stream
