"""Batches for Lightning: batch k is a pure function of the seed and k."""

import time
from collections.abc import Callable, Hashable, Iterator

import numpy as np
import pytorch_lightning as lightning
import torch

from trivium.data.batches import batch_length, gather, lengths_of_parts, lengths_shown
from trivium.data.packing import pack, shift_of
from trivium.data.samplers import Buckets, Strata, batch_indices, num_batches_per_epoch, permutation
from trivium.data.store import Store
from trivium.types import Batch, Column


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
    """The train split of a store (or another), in batches gathered by index.

    Texts and clips of about equal length share a batch, and samples of one stratum where the store
    has strata; `packed` joins texts into one stream and hands out blocks of it instead.

    `batch_size` is the global batch, divided among the ranks; `task` names the labels, None on
    unlabelled data; `column` is, of audio, what the views are made from; `data_fraction` is the
    share of the split that is used (`items`).

    Raises:
        ValueError: if that share does not hold one batch, or labels are asked of a stream.
    """

    def __init__(
        self,
        store: Store,
        *,
        batch_size: int,
        seed: int,
        task: str | None,
        packed: bool = False,
        column: Column | None = None,
        data_fraction: float = 1.0,
        split: str = "train",
    ) -> None:
        super().__init__()
        self.store = store
        self.batch_size = batch_size
        self.seed = seed
        self.task = task
        self.column: Column | None = column
        self.items = store.share(split, data_fraction, seed, task)
        self.packed = pack(store, split, self.items) if packed else None
        self.pool: np.ndarray = np.arange(self.packed.num_blocks) if self.packed else self.items
        self.stream = StepBatches(self)
        if len(self.pool) < batch_size:
            raise ValueError(
                f"The {split} split of {store.meta.name} has {len(self.pool)} samples to use, "
                f"fewer than one batch of {batch_size}: lower trainer.batch_size"
                + (f" or raise data_fraction={data_fraction}." if data_fraction < 1 else ".")
            )
        self.lengths = None if packed else lengths_shown(store, column)
        self.lengths_of_parts = lengths_of_parts(store, column)
        strata = store.strata() if store.parts else None
        self.order: Callable[[int, int, int], np.ndarray] = permutation
        if strata is not None:
            self.order = Strata(strata[self.pool], batch_size=batch_size)
        elif self.lengths is not None:
            self.order = Buckets(self.lengths[self.pool], batch_size=batch_size)

    def of_split(self, split: str) -> "StoreData":
        """Batches of another split, the whole of it, made in the same way."""
        return StoreData(
            self.store,
            batch_size=self.batch_size,
            seed=self.seed,
            task=self.task,
            packed=self.packed is not None,
            column=self.column,
            split=split,
        )

    def train_dataloader(self) -> StepBatches:
        """The endless stream; the budget ends the run."""
        return self.stream

    def batch(self, step: int, *, rank: int = 0, world_size: int = 1) -> Batch:
        """The batch of one step."""
        indices = self._indices(step, rank, world_size)
        if self.packed is None:
            return gather(self.store, indices, self.task, self.column)
        epoch = step // num_batches_per_epoch(len(self.pool), self.batch_size)
        ids = self.packed.blocks(indices, shift_of(self.seed, epoch, self.packed.length))
        valid = torch.ones(ids.shape, dtype=torch.bool)
        return Batch({"text": torch.from_numpy(ids)}, {"text": valid}, None, torch.tensor(indices))

    def size(self, step: int) -> Hashable:
        """The length to which the batch of a step is padded; 0 where all samples are alike.

        Of several modalities the lengths of all parts.
        """
        if self.store.parts:
            indices = self._indices(step)
            return tuple(
                batch_length(self.store.part(one), int(lengths[indices].max()))
                for one, lengths in self.lengths_of_parts.items()
            )
        if self.lengths is None:
            return 0
        return batch_length(self.store, int(self.lengths[self._indices(step)].max()))

    def tokens(self, step: int) -> int:
        """Tokens of text in the batch of a step, padding left out; 0 of other modalities."""
        if self.packed is not None:
            return self.batch_size * self.packed.length
        if self.lengths is None or self.store.meta.modality != "text":
            return 0
        return int(self.lengths[self._indices(step)].sum())

    def _indices(self, step: int, rank: int = 0, world_size: int = 1) -> np.ndarray:
        """The samples (or blocks) of one step."""
        return batch_indices(
            self.pool,
            seed=self.seed,
            step=step,
            batch_size=self.batch_size,
            rank=rank,
            world_size=world_size,
            order=self.order,
        )
