"""Whole batches out of a store, gathered by index in one call."""

import numpy as np
import torch
from jaxtyping import Bool, Int64

from trivium.data.store import Store
from trivium.types import PAD, Batch

TOKENS = "tokens"
"""The column that text is read from."""
MULTIPLE = 8
"""Texts are padded to a multiple of so many tokens: few lengths, each of a known price."""


def gather(
    store: Store, indices: Int64[np.ndarray, " batch"], labels: str | None = "label"
) -> Batch:
    """The batch of these samples, copied out of the memory map (no per-sample Python).

    Texts are cut to the length that the store's encoders are shown, and padded to the longest of
    the batch, rounded up to a multiple of 8.

    Args:
        store: An open store.
        indices: Sample numbers, in the order that the batch shall have.
        labels: Task whose labels are attached (`label`: the main one); None leaves them out.

    Raises:
        DataError: labels are asked of a dataset that has none, or of an unknown task.
    """
    inputs, valid = {}, {}
    if store.meta.modality == "text":
        flat, offsets = store.ragged(TOKENS)
        ids, present = padded(flat, offsets, indices, limit=store.meta.shape[0])
        inputs["text"], valid["text"] = torch.from_numpy(ids), torch.from_numpy(present)
    else:
        inputs = {
            name: torch.from_numpy(np.take(store.column(name), indices, axis=0))
            for name in store.meta.columns
        }
    classes = None
    if labels is not None:
        classes = torch.from_numpy(np.take(store.labels(labels), indices))
    return Batch(inputs, valid, classes, torch.from_numpy(indices.copy()))


def padded(
    flat: np.ndarray,
    offsets: Int64[np.ndarray, " bound"],
    indices: Int64[np.ndarray, " batch"],
    *,
    limit: int,
) -> tuple[Int64[np.ndarray, "batch token"], Bool[np.ndarray, "batch token"]]:
    """Some sequences of a flat column as one array, and where it holds data.

    Args:
        flat: All sequences, one after another.
        offsets: Where each begins, and the end of the last.
        indices: Which sequences.
        limit: Most tokens of each; what is beyond is cut.
    """
    starts = np.take(offsets, indices)
    lengths = np.minimum(np.take(offsets, indices + 1) - starts, limit)
    places = np.arange(padded_length(int(lengths.max(initial=1)), limit))
    present = places < lengths[:, None]
    ids = np.take(flat, np.where(present, starts[:, None] + places, 0)).astype(np.int64)
    ids[~present] = PAD
    return ids, present


def padded_length(longest: int, limit: int) -> int:
    """The length to which a batch is padded whose longest text has so many tokens."""
    return min(-(-longest // MULTIPLE) * MULTIPLE, limit)
