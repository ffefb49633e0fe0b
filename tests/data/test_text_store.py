import itertools

import numpy as np
import pytest
import torch

from trivium.data.batches import gather
from trivium.data.errors import ConfigError, DataError, StoreError
from trivium.data.packing import pack
from trivium.data.store import Store
from trivium.data.tokenizer import train_tokenizer
from trivium.data.writer import Parsed, TokenizerSettings, write_store
from trivium.types import BOS, EOS, PAD

from .conftest import ORIGIN

WORDS = ("whale", "ship", "sea", "né", "鯨", "oar", "storm", "the", "of", "a")
BPE = {"kind": "bpe", "vocabulary": 290}
LENGTH = 16


def text_parsed(num_train=50, num_test=14, chosen=BPE, labelled=True):
    rng = np.random.default_rng(0)
    num = num_train + num_test
    texts = [f"{row}: {' '.join(rng.choice(WORDS, rng.integers(1, 12)))}\n" for row in range(num)]
    labels = {"kind": np.arange(num) % 2} if labelled else {}
    tasks = {"kind": ("even", "odd")} if labelled else {}
    return Parsed(
        {}, labels, tasks, np.arange(num_train), np.arange(num_train, num),
        texts=texts, tokenizer=TokenizerSettings(chosen, LENGTH),
    )  # fmt: skip


def write(folder, parsed):
    return write_store(folder, "letters", parsed, ORIGIN)


def with_texts(parsed, indices, text):
    texts = [text if row in set(indices) else old for row, old in enumerate(parsed.texts)]
    return parsed._replace(texts=texts)


def rows(store, indices):
    """What the ids of some samples must be, by the tokenizer itself."""
    tokenizer = store.tokenizer()
    encode = lambda text: tokenizer.encode(text, add_special_tokens=False).ids  # noqa: E731
    return [[BOS, *encode(text), EOS] for text in store.texts(np.array(indices))]


@pytest.fixture
def letters(tmp_path):
    return write(tmp_path / "letters", text_parsed())


def test_texts_come_back_in_the_asked_order(letters):
    texts = text_parsed().texts
    assert letters.texts(np.arange(64)) == list(texts)
    assert letters.texts(np.array([60, 3, 3])) == [texts[60], texts[3], texts[3]]
    assert letters.texts(np.arange(0)) == []


def test_meta_tells_of_text(letters):
    meta = Store.open(letters.folder, verify=True).meta
    assert (meta.modality, meta.shape) == ("text", (LENGTH,))
    assert meta.columns == {"tokens": "tokens.uint16.npy", "text": "text.uint8.npy"}
    assert meta.statistics == {"mean": (), "std": ()}
    assert meta.counts == {"train": 46, "validation": 4, "test": 14}
    assert meta.vocabulary == letters.tokenizer().get_vocab_size() == 290


def test_the_spec_knows_the_vocabulary(letters):
    spec = letters.spec()
    assert (spec.modality, spec.shape, spec.vocabulary) == ("text", (LENGTH,), 290)
    assert (spec.mean, spec.std, spec.num_classes, spec.num_samples) == ((), (), 2, 46)


def test_a_small_text_fills_less_than_the_vocabulary_it_may_have(tmp_path):
    parsed = text_parsed(chosen={"kind": "bpe", "vocabulary": 30000})
    store = write(tmp_path / "letters", parsed)
    assert 260 < store.meta.vocabulary < 1000
    assert store.meta.vocabulary == store.tokenizer().get_vocab_size()


def test_every_sample_has_its_own_tokens(letters):
    flat, offsets = letters.ragged("tokens")
    expected = rows(letters, range(64))
    found = [flat[start:end].tolist() for start, end in itertools.pairwise(offsets)]
    assert found == expected
    assert letters.lengths("tokens").tolist() == [len(row) for row in expected]
    assert letters.lengths("text").tolist() == [len(t.encode()) for t in text_parsed().texts]


def test_only_columns_of_varying_lengths_are_ragged(letters, store):
    assert letters.is_ragged("tokens")
    assert letters.is_ragged("text")
    assert not store.is_ragged("image")
    with pytest.raises(DataError, match="tiny has no column 'image' of varying lengths"):
        store.ragged("image")


def test_the_tokenizer_is_trained_on_train_alone(letters):
    train = letters.texts(letters.split("train"))
    assert letters.tokenizer().to_str() == train_tokenizer(BPE, train).to_str()


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("kind", [BPE, {"kind": "character"}], ids=lambda kind: kind["kind"])
def test_words_of_other_splits_add_no_token(tmp_path, kind, split):
    plain = write(tmp_path / "plain", text_parsed(chosen=kind))
    parsed = with_texts(text_parsed(chosen=kind), plain.split(split), "quixotic Quark! " * 50)
    other = write(tmp_path / "other", parsed)
    assert other.texts(other.split(split)[:1]) == ["quixotic Quark! " * 50]
    file = "tokenizer.json"
    assert (other.folder / file).read_bytes() == (plain.folder / file).read_bytes()
    assert other.fingerprint != plain.fingerprint


def test_words_of_train_do(tmp_path, letters):
    parsed = with_texts(text_parsed(), letters.split("train")[:9], "quixotic " * 50)
    other = write(tmp_path / "other", parsed)
    assert "Ġquixotic" in other.tokenizer().get_vocab()
    assert "Ġquixotic" not in letters.tokenizer().get_vocab()


def test_the_tokenizer_lies_beside_the_columns(letters):
    text = (letters.folder / "tokenizer.json").read_text(encoding="utf-8")
    assert text == letters.tokenizer().to_str()
    assert letters.tokenizer_sum == letters.meta.files["tokenizer.json"].sha256


def test_the_stores_tokenizer_takes_special_names_for_text(letters):
    ids = letters.tokenizer().encode("[PAD][MASK]", add_special_tokens=False).ids
    assert min(ids) > 3


def test_pictures_have_no_tokenizer(store):
    assert store.tokenizer_sum is None
    with pytest.raises(DataError, match="tiny is image and has no tokenizer"):
        store.tokenizer()


@pytest.mark.parametrize(
    "file", ["tokenizer.json", "text.uint8.npy", "tokens.uint16.npy", "tokens.offsets.int64.npy"]
)
def test_a_changed_byte_is_named(letters, file):
    path = letters.folder / file
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    Store.open(letters.folder)
    with pytest.raises(StoreError, match=f"{file} was altered"):
        Store.open(letters.folder, verify=True)


def test_a_missing_tokenizer_is_named_without_hashing(letters):
    (letters.folder / "tokenizer.json").unlink()
    with pytest.raises(StoreError, match=r"tokenizer\.json is missing"):
        Store.open(letters.folder)


def test_the_same_texts_give_the_same_bytes(letters, tmp_path):
    again = write(tmp_path / "again", text_parsed())
    assert {p.name for p in again.folder.iterdir()} == {p.name for p in letters.folder.iterdir()}
    for file in letters.folder.iterdir():
        assert file.read_bytes() == (again.folder / file.name).read_bytes()
    assert letters.fingerprint == again.fingerprint


def test_a_tokenizer_of_another_store_gives_the_same_ids(letters, tmp_path):
    chosen = {"kind": "file", "path": str(letters.folder / "tokenizer.json")}
    other = write(tmp_path / "other", text_parsed(chosen=chosen))
    assert other.tokenizer_sum == letters.tokenizer_sum
    np.testing.assert_array_equal(other.column("tokens"), letters.column("tokens"))


@pytest.mark.parametrize("blank", ["", " \n\t"])
def test_empty_texts_are_refused_with_their_number(tmp_path, blank):
    parsed = with_texts(text_parsed(), [7, 61], blank)
    with pytest.raises(DataError, match="letters: 2 texts are empty, the first is number 7"):
        write(tmp_path / "letters", parsed)
    assert not any(tmp_path.iterdir())


def test_a_wrong_tokenizer_leaves_nothing_behind(tmp_path):
    with pytest.raises(ConfigError, match="choose of bpe"):
        write(tmp_path / "letters", text_parsed(chosen={"kind": "words"}))
    assert not any(tmp_path.iterdir())


def test_a_wide_vocabulary_is_stored_in_wide_ids(tmp_path):
    parsed = text_parsed(chosen={"kind": "character"})
    wide = "".join(chr(0x10000 + number) for number in range(2**16))
    store = write(tmp_path / "letters", with_texts(parsed, [0, 1, 2, 3, 4, 5, 6, 7], wide))
    assert store.meta.columns["tokens"] == "tokens.uint32.npy"
    assert store.meta.vocabulary > store.column("tokens").max() >= 2**16
    batch = gather(store, np.array([0, 30]))
    assert [row[valid].tolist() for row, valid in zip(batch.inputs["text"], batch.valid["text"],
            strict=True)] == [row[:LENGTH] for row in rows(store, [0, 30])]  # fmt: skip


def test_a_batch_is_cut_and_padded_with_zeros(letters):
    indices = np.array([50, 3, 8, 3, 22])
    expected = rows(letters, indices)
    assert min(map(len, expected)) < LENGTH < max(map(len, expected))
    batch = gather(letters, indices)
    ids, valid = batch.inputs["text"], batch.valid["text"]
    assert (ids.dtype, valid.dtype) == (torch.int64, torch.bool)
    assert ids.shape == valid.shape == (5, LENGTH)
    for row, present, full in zip(ids.tolist(), valid.tolist(), expected, strict=True):
        num = min(len(full), LENGTH)
        assert row == full[:num] + [PAD] * (LENGTH - num)
        assert present == [True] * num + [False] * (LENGTH - num)
    assert batch.indices.tolist() == indices.tolist()
    assert batch.labels.tolist() == (indices % 2).tolist()


def test_a_batch_of_short_texts_is_short(letters):
    lengths = letters.lengths("tokens")
    shortest = np.argsort(lengths)[:2]
    assert lengths[shortest].max() <= 8
    assert gather(letters, shortest).inputs["text"].shape == (2, 8)


def test_a_batch_of_texts_without_labels(tmp_path):
    bare = write(tmp_path / "bare", text_parsed(labelled=False))
    assert gather(bare, np.array([1, 2]), None).labels is None
    with pytest.raises(DataError, match="has no labels"):
        gather(bare, np.array([1]))


def test_a_batch_of_texts_is_a_copy(letters):
    before = rows(letters, [5])
    gather(letters, np.array([5])).inputs["text"].zero_()
    assert gather(letters, np.array([5])).inputs["text"][0, :4].tolist() == before[0][:4]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_packed_split_is_its_texts_one_after_another(letters, split):
    stream = [number for row in rows(letters, letters.split(split)) for number in row]
    packed = pack(letters, split)
    assert packed.stream.tolist() == stream
    assert packed.length == LENGTH
    blocks = packed.blocks(np.arange(packed.num_blocks))
    naive = [stream[start : start + LENGTH + 1] for start in range(0, len(stream), LENGTH)]
    whole = [block for block in naive if len(block) == LENGTH + 1]
    assert blocks.tolist() == whole[: len(blocks)]
    assert len(whole) - len(blocks) <= 1  # the last is left for the shift of the seams


def test_consecutive_texts_are_packed_without_a_copy(letters):
    assert np.diff(letters.split("train")).max() > 1
    assert np.diff(letters.split("test")).max() == 1
    assert np.shares_memory(pack(letters, "test").stream, letters.column("tokens"))
