"""Whole batches out of a store, gathered by index in one call."""

import numpy as np
import torch
from jaxtyping import Int64

from trivium.data.store import Store
from trivium.types import Batch


def gather(
    store: Store, indices: Int64[np.ndarray, " batch"], labels: str | None = "label"
) -> Batch:
    """The batch of these samples, copied out of the memory map (no per-sample Python).

    Args:
        store: An open store.
        indices: Sample numbers, in the order that the batch shall have.
        labels: Task whose labels are attached (`label`: the main one); None leaves them out.

    Raises:
        DataError: labels are asked of a dataset that has none, or of an unknown task.
    """
    inputs = {
        name: torch.from_numpy(np.take(store.column(name), indices, axis=0))
        for name in store.meta.columns
    }
    classes = None
    if labels is not None:
        classes = torch.from_numpy(np.take(store.labels(labels), indices))
    return Batch(inputs, {}, classes, torch.from_numpy(indices.copy()))
