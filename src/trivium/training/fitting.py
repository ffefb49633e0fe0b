"""What is fitted on train samples before the first step and after the last one."""

from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from trivium.data.batches import gather, modality_inputs_of
from trivium.data.store import Store
from trivium.encoders.towers import Towers
from trivium.features.extract import ready
from trivium.training.datamodule import StoreData
from trivium.training.samples import spread
from trivium.types import Column, Modality

MOST_FITTED = 100_000
NUM_ITEMS, BATCH = 2000, 250


def train_values(
    data: StoreData, column: Column | None = None, most: int | None = None
) -> tuple[Any, Tensor | None]:
    """Raw train values for `Objective.fit`, and where they hold data (None of several modalities).

    The first 100,000 samples of what is learnt from, or `most` of them, evenly spread.
    """
    store, train = data.store, data.items
    chosen = train[:MOST_FITTED] if most is None else train[spread(len(train), most)]
    batch = gather(store, np.asarray(chosen), None, column)
    if store.parts:
        return modality_inputs_of(batch), None
    return batch.inputs[store.meta.modality], batch.valid.get(store.meta.modality)


@torch.no_grad()
def fill_missing(encoder: Towers, store: Store, train: Int64[np.ndarray, " train"]) -> None:
    """Set each vector of `missing` that is still zero to the mean over some of the train samples.

    Features of a sample that lacks a modality then differ from others by what is unknown alone:
    a probe that was fitted on complete samples can be asked about incomplete ones. Vectors that
    were learnt, because training samples lacked that modality, stay.
    """
    missing = cast(dict[Modality, nn.Parameter], encoder.missing)
    unset = [one for one in encoder.modalities if not missing[one].any()]
    chosen = np.sort(train[spread(len(train), NUM_ITEMS)])
    sums = {one: torch.zeros_like(missing[one]) for one in unset}
    counts = dict.fromkeys(unset, 0)
    encoder.eval()
    for some in np.array_split(chosen, -(-len(chosen) // BATCH)):
        inputs = ready(modality_inputs_of(gather(store, some, None, encoder.audio_column)), "cpu")
        present = {one: each.present_mask for one, each in inputs.items()}
        _, shares = encoder.fused_parts(encoder.each(inputs), present)
        for one in unset:
            sums[one] += shares[one][present[one]].sum(0)
            counts[one] += int(present[one].sum())
    for one in unset:
        missing[one].copy_(sums[one] / max(1, counts[one]))
