import functools
import operator
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.data.batches import padded, padded_length
from trivium.data.errors import DataError
from trivium.data.packing import Packed, pack, shift_of
from trivium.data.store import Store
from trivium.types import BOS, EOS, PAD


def ragged(texts):
    flat = np.concatenate([np.array(text, np.uint16) for text in texts])
    return flat, np.cumsum([0, *map(len, texts)]).astype(np.int64)


class FakeStore(Store):
    def __init__(self, texts, chosen, length):
        self.texts_, self.chosen = texts, chosen
        self.meta = types.SimpleNamespace(shape=(length,), name="fake")

    def ragged(self, name):
        return ragged(self.texts_)

    def split(self, name):
        return np.array(self.chosen)


texts = st.lists(
    st.lists(st.integers(4, 60000), max_size=9).map(lambda t: [BOS, *t, EOS]), min_size=1
)


@given(texts, st.data(), st.integers(1, 12))
def test_padding_keeps_every_token_up_to_the_limit_and_adds_only_padding(texts, data, limit):
    indices = np.array(data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=1)))
    ids, valid = padded(*ragged(texts), indices, limit=limit)
    assert ids.dtype == np.int64
    assert ids.shape[1] == padded_length(max(min(len(texts[i]), limit) for i in indices), limit)
    assert ids.shape[1] <= limit
    for row, present, index in zip(ids, valid, indices, strict=True):
        kept = texts[index][:limit]
        assert row[: len(kept)].tolist() == kept
        assert present.tolist() == [True] * len(kept) + [False] * (len(row) - len(kept))
        assert (row[len(kept) :] == PAD).all()


def test_lengths_are_rounded_to_eights_within_the_limit():
    assert [padded_length(n, 20) for n in (1, 8, 9, 16, 17, 20)] == [8, 8, 16, 16, 20, 20]


@given(texts, st.data())
def test_a_stream_is_the_chosen_texts_one_after_another(texts, data):
    every = range(len(texts))
    chosen = sorted(data.draw(st.sets(st.sampled_from(every), min_size=1)))
    joined = functools.reduce(operator.iadd, (texts[i] for i in chosen), [])
    if len(joined) < 2:
        return
    packed = pack(FakeStore(texts, chosen, 1), "train")
    assert packed.stream.tolist() == joined


def test_some_texts_of_a_split_can_be_joined_alone():
    store = FakeStore([[1, 5, 2], [1, 6, 2], [1, 7, 2]], [0, 1, 2], 1)
    assert pack(store, "train", np.array([0, 2])).stream.tolist() == [1, 5, 2, 1, 7, 2]


@given(st.integers(20, 200), st.integers(1, 9), st.data())
def test_blocks_cover_the_stream_and_stay_inside_at_any_shift(size, length, data):
    packed = Packed(np.arange(size), length)
    shift = data.draw(st.integers(0, length - 1))
    blocks = packed.blocks(np.arange(packed.num_blocks), shift)
    assert blocks.shape == (packed.num_blocks, length + 1)
    assert blocks[0, 0] == shift
    assert blocks.max() < size
    inputs = blocks[:, :-1].ravel()
    assert np.array_equal(inputs, np.arange(shift, shift + len(inputs)))  # once each, no gap
    assert np.array_equal(blocks[:, 1:].ravel(), inputs + 1)
    assert size - len(inputs) < 2 * length + 1


def test_shifts_differ_between_epochs_and_repeat_with_the_seed():
    shifts = [shift_of(0, epoch, 64) for epoch in range(20)]
    assert len(set(shifts)) > 10
    assert shifts == [shift_of(0, epoch, 64) for epoch in range(20)]
    assert all(0 <= shift < 64 for shift in shifts)


def test_too_little_text_is_refused():
    with pytest.raises(DataError, match="do not hold two blocks"):
        pack(FakeStore([[1, 5, 2]], [0], 8), "train")
