"""What stands for a modality that a sample lacks, where training taught nothing about it."""

from typing import cast

import numpy as np
import torch
from jaxtyping import Int64
from torch import nn

from trivium.data.batches import as_values, gather, senses_of
from trivium.data.store import Store
from trivium.encoders.towers import Towers
from trivium.pretraining.drawing import spread
from trivium.types import Modality

NUM_ITEMS, BATCH = 2000, 250


@torch.no_grad()
def fill_missing(encoder: Towers, store: Store, train: Int64[np.ndarray, " train"]) -> None:
    """Set each vector of `missing` that is still zero to the mean over some of the train samples.

    Features of a sample that lacks a modality then differ from others by what is unknown alone:
    a probe that was fitted on complete samples can be asked about incomplete ones. Vectors that
    were learnt, because training samples lacked that modality, stay.
    """
    missing = cast(dict[Modality, nn.Parameter], encoder.missing)
    wanted = [one for one in encoder.modalities if not missing[one].any()]
    chosen = np.sort(train[spread(len(train), NUM_ITEMS)])
    sums = {one: torch.zeros_like(missing[one]) for one in wanted}
    counts = dict.fromkeys(wanted, 0)
    encoder.eval()
    for part in np.array_split(chosen, -(-len(chosen) // BATCH)):
        senses = {
            one: sense._replace(values=as_values(sense.values))
            for one, sense in senses_of(gather(store, part, None, encoder.audio_column)).items()
        }
        there = {one: sense.there for one, sense in senses.items()}
        _, shares = encoder.fused_parts(encoder.each(senses), there)
        for one in wanted:
            sums[one] += shares[one][there[one]].sum(0)
            counts[one] += int(there[one].sum())
    for one in wanted:
        missing[one].copy_(sums[one] / max(1, counts[one]))
