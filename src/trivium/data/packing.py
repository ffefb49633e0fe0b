"""Texts joined into one stream and cut into blocks: what language models are trained on."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, Integer

from trivium.data.batches import TOKENS
from trivium.data.errors import DataError
from trivium.data.store import Store


class Packed(NamedTuple):
    """The texts of a split, one after another, read in blocks.

    A block holds `length` + 1 ids, one more than an encoder is shown: the first `length` are its
    input, the last `length` what it predicts. Neighbouring blocks share one id.
    """

    stream: Integer[np.ndarray, " token"]
    length: int

    @property
    def num_blocks(self) -> int:
        """Blocks of one pass, whatever the shift."""
        return (len(self.stream) - self.length) // self.length

    def blocks(
        self, numbers: Int64[np.ndarray, " batch"], shift: int = 0
    ) -> Int64[np.ndarray, "batch token"]:
        """Some blocks, with their seams moved by `shift` tokens, in [0, length)."""
        places = numbers[:, None] * self.length + shift + np.arange(self.length + 1)
        return np.take(self.stream, places).astype(np.int64)


def pack(store: Store, split: str, chosen: Int64[np.ndarray, " text"] | None = None) -> Packed:
    """Join texts; each keeps its begin and end. Consecutive texts are not copied.

    Args:
        store: A store of texts.
        split: Whose texts are joined.
        chosen: Some of them, ascending; None for all.

    Raises:
        DataError: the split does not hold two blocks.
    """
    flat, offsets = store.ragged(TOKENS)
    chosen = store.split(split) if chosen is None else chosen
    length = store.meta.shape[0]
    if len(chosen) and chosen[-1] - chosen[0] + 1 == len(chosen):
        stream: np.ndarray = flat[offsets[chosen[0]] : offsets[chosen[-1] + 1]]
    else:
        starts, ends = offsets[chosen], offsets[chosen + 1]
        lengths = ends - starts
        skipped = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
        stream = np.take(flat, skipped + np.arange(lengths.sum()))
    packed = Packed(stream, length)
    if packed.num_blocks < 1:
        raise DataError(
            f"{store.meta.name}: the {len(stream)} tokens of {split} do not hold two blocks of "
            f"{length}: set a smaller data.spec.shape or take more text"
        )
    return packed


def shift_of(seed: int, epoch: int, length: int) -> int:
    """How far the seams of an epoch's blocks are moved: in each epoch elsewhere."""
    return int(np.random.Generator(np.random.PCG64([seed, epoch, 2])).integers(length))
