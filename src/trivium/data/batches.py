"""Whole batches out of a store, gathered by index in one call."""

import numpy as np
import torch
from jaxtyping import Bool, Int64, Shaped
from torch import Tensor

from trivium.data.spectrogram import SILENCE
from trivium.data.store import Store
from trivium.types import MODALITIES, PAD, Batch, Column, Modality, ModalityInput, MultimodalInput

TOKENS = "tokens"
"""The column that text is read from."""
MULTIPLE = 8
"""Texts are padded to a multiple of so many tokens: few lengths, each of a known price."""
FRAMES = 16
"""Audio is padded to a multiple of so many frames."""


def gather(
    store: Store,
    indices: Int64[np.ndarray, " batch"],
    labels: str | None = "label",
    column: Column | None = None,
) -> Batch:
    """The batch of these samples, copied out of the memory map (no per-sample Python).

    Texts and clips of audio are cut to the length that the store's encoders are shown, and padded
    to the longest of the batch, rounded up to a multiple of 8 tokens or 16 frames. Where all clips
    are as long as that, there is no `valid`.

    Args:
        store: An open store.
        indices: Sample numbers, in the order that the batch shall have.
        labels: Task whose labels are attached (`label`: the main one); None leaves them out.
        column: Of audio: log-mel spectrograms (`mel`, also for None) or waves (`wave`).

    Raises:
        DataError: labels are asked of a dataset that has none, or of an unknown task.
    """
    if store.parts:
        return _several(store, indices, labels, column)
    modality = store.meta.modality
    inputs, valid = {}, {}
    if modality == "text":
        flat, offsets = store.ragged(TOKENS)
        ids, present = padded(flat, offsets, indices, limit=store.meta.shape[0])
        inputs["text"], valid["text"] = torch.from_numpy(ids), torch.from_numpy(present)
    elif modality == "audio":
        values, present = _clips(store, indices, column or "mel")
        inputs["audio"] = torch.from_numpy(values)
        if store.lengths("mel").min() < store.meta.shape[1]:
            valid["audio"] = torch.from_numpy(present)
    else:
        inputs = {
            name: torch.from_numpy(np.take(store.column(name), indices, axis=0))
            for name in store.meta.columns
        }
    classes = _classes(store, indices, labels)
    return Batch(inputs, valid, classes, torch.from_numpy(indices.copy()))


def _several(store: Store, indices: np.ndarray, labels: str | None, column: Column | None) -> Batch:
    """Each sample's rows of the parts; blank where it has none."""
    inputs: dict[str, Tensor] = {}
    valid: dict[str, Tensor] = {}
    present: dict[str, Tensor] = {}
    for one, part in store.parts.items():
        rows = np.take(store.rows(one), indices)
        there = rows >= 0
        batch = gather(part, np.where(there, rows, 0), None, column)
        inputs[one], valid = batch.inputs[one], valid | batch.valid
        if one in store.sometimes_missing:
            present[one] = torch.from_numpy(there)
            # 0 is black, the silence of waves, and PAD.
            blank = SILENCE if inputs[one].is_floating_point() else 0
            inputs[one][~present[one]] = blank
    classes = _classes(store, indices, labels)
    return Batch(inputs, valid, classes, torch.from_numpy(indices.copy()), present)


def modality_inputs_of(batch: Batch) -> MultimodalInput:
    """The raw values of a batch of several modalities, with what belongs to them."""
    present = batch.present or {}
    return {
        one: ModalityInput(batch.inputs[one], batch.valid.get(one), present.get(one))
        for one in MODALITIES
        if one in batch.inputs
    }


def _classes(store: Store, indices: np.ndarray, labels: str | None) -> Tensor | None:
    if labels is None:
        return None
    return torch.from_numpy(np.take(store.labels(labels), indices))


def as_values(raw: Tensor) -> Tensor:
    """Raw values as an encoder takes them, as the views `plain` and `wave` make them.

    uint8 as floats in [0, 1], int16 waves as floats in [-1, 1], half precision as single; ids
    stay as they are.
    """
    if raw.dtype == torch.uint8:
        return raw.float() / 255
    if raw.dtype == torch.int16:
        return raw.float() / 2**15
    return raw.float() if raw.dtype == torch.float16 else raw


def padded(
    flat: np.ndarray,
    offsets: Int64[np.ndarray, " bound"],
    indices: Int64[np.ndarray, " batch"],
    *,
    limit: int,
) -> tuple[Int64[np.ndarray, "batch token"], Bool[np.ndarray, "batch token"]]:
    """Some sequences of ids of a flat column as one array, and where it holds data.

    Args:
        flat: All sequences, one after another.
        offsets: Where each begins, and the end of the last.
        indices: Which sequences.
        limit: Most tokens of each; what is beyond is cut.
    """
    longest = int(_shown(offsets, indices, limit).max(initial=1))
    ids, present = _cut(flat, offsets, indices, limit, padded_length(longest, limit), fill=PAD)
    return ids.astype(np.int64), present


def padded_length(longest: int, limit: int, multiple: int = MULTIPLE) -> int:
    """The length to which a batch is padded whose longest sequence has so many tokens."""
    return min(-(-longest // multiple) * multiple, limit)


def lengths_shown(
    store: Store, column: Column | None = None
) -> Int64[np.ndarray, " sample"] | None:
    """Tokens or frames that an encoder is shown of each sample; None where all are alike.

    Of waves a last frame may be begun only. Samples of several modalities have no one length: None.
    """
    if store.meta.modality == "text":
        return _at_most(store.lengths(TOKENS), store.meta.shape[0])
    if store.meta.modality != "audio":
        return None
    lengths = store.lengths("mel")
    if column == "wave":
        lengths = -(-store.lengths("wave") // int(store.meta.sound[2]))
    lengths = _at_most(lengths, store.meta.shape[1])
    return lengths if lengths.min() < store.meta.shape[1] else None


def lengths_of_parts(
    store: Store, column: Column | None = None
) -> dict[Modality, Int64[np.ndarray, " sample"]]:
    """Of several modalities: as `lengths_shown`, for each whose lengths differ.

    A sample that lacks it is as long as the part's first row, which stands in for it in a batch.
    """
    found = {}
    for one, part in store.parts.items():
        lengths = lengths_shown(part, column)
        if lengths is not None:
            rows = store.rows(one)
            found[one] = np.take(lengths, np.where(rows < 0, 0, rows))
    return found


def batch_length(store: Store, longest: int) -> int:
    """Tokens or frames to which a batch of a store is padded."""
    if store.meta.modality == "text":
        return padded_length(longest, store.meta.shape[0])
    return padded_length(longest, store.meta.shape[1], FRAMES)


def _clips(store: Store, indices: np.ndarray, column: Column) -> tuple[np.ndarray, np.ndarray]:
    limit, hop = store.meta.shape[1], int(store.meta.sound[2])
    flat, offsets = store.ragged(column)
    if column == "mel":
        length = batch_length(store, int(_shown(offsets, indices, limit).max(initial=1)))
        values, present = _cut(flat, offsets, indices, limit, length, fill=SILENCE)
        return values[:, None], present
    longest = int(_shown(offsets, indices, limit * hop).max(initial=1))
    length = batch_length(store, -(-longest // hop))
    return _cut(flat, offsets, indices, limit * hop, length * hop, fill=0)


def _shown(offsets: np.ndarray, indices: np.ndarray, limit: int) -> np.ndarray:
    return _at_most(np.take(offsets, indices + 1) - np.take(offsets, indices), limit)


def _at_most(lengths: np.ndarray, limit: int) -> Int64[np.ndarray, " sample"]:
    shown: np.ndarray = np.minimum(lengths, limit)
    return shown


def _cut(
    flat: np.ndarray,
    offsets: np.ndarray,
    indices: np.ndarray,
    limit: int,
    length: int,
    *,
    fill: float,
) -> tuple[Shaped[np.ndarray, "batch place *value"], Bool[np.ndarray, "batch place"]]:
    """Some sequences, cut to `limit`, padded with `fill` to `length`; and where there is data."""
    starts, places = np.take(offsets, indices), np.arange(length)
    present = places < _shown(offsets, indices, limit)[:, None]
    values = np.take(flat, np.where(present, starts[:, None] + places, 0), axis=0)
    values[~present] = fill
    return values, present
