"""Stores of several modalities: rows, parts, blanks, strata and their errors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.data.batches import batch_length, gather, lengths_of_parts
from trivium.data.config import part_config
from trivium.data.errors import ConfigError, DataError, StoreError
from trivium.data.samplers import Strata
from trivium.data.spectrogram import SILENCE, SoundSettings
from trivium.data.store import Store
from trivium.data.writer import Origin, Parsed, TokenizerSettings, Waves, write_store

EMPTY = np.empty(0, np.int64)
ORIGIN = Origin("generated", "1", "", "CC0")
SOUND = SoundSettings(16000, 400, 160, 16, 60.0, 7600.0)
SETTINGS = {"kind": "bpe", "vocabulary": 300}


def bare(**content):
    return Parsed(content.pop("columns", {}), {}, {}, EMPTY, EMPTY, **content)


def example(num=40, **changes):
    """Three modalities; sample i shows picture i // 2, text i, and sound i // 2 or none."""
    rng = np.random.default_rng(0)
    sample = np.arange(num)
    images = rng.integers(0, 256, (num // 2, 3, 8, 8), dtype=np.uint8)
    texts = [f"caption number {i} of a thing" for i in range(num)]
    lengths = 1600 + 160 * (np.arange(num // 2) % 5)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    flat = rng.integers(-3000, 3000, offsets[-1]).astype(np.int16)
    parts = {
        "image": bare(columns={"image": images}),
        "text": bare(texts=texts, tokenizer=TokenizerSettings(SETTINGS, 12)),
        "audio": bare(waves=Waves(flat, offsets, SOUND, 12)),
    }
    rows = {
        "image": sample // 2,
        "text": sample.copy(),
        "audio": np.where(sample // 2 % 3 == 0, -1, sample // 2),
    }
    given = {
        "columns": {},
        "labels": {"label": (sample // 2 % 2).astype(np.int64)},
        "tasks": {"label": ("odd", "even")},
        "train": sample[: num * 3 // 4],
        "test": sample[num * 3 // 4 :],
        "groups": (sample // 2).astype(np.int64),
        "parts": parts,
        "rows": rows,
        "strata": (sample % 2).astype(np.int64),
        "stratum_names": ("first", "second"),
    }
    return Parsed(**given | changes)


@pytest.fixture
def store(tmp_path):
    return write_store(tmp_path / "several", "several", example(), ORIGIN)


def test_parts_are_stores_of_their_own(store):
    assert store.meta.modality == "image+text+audio"
    assert [*store.parts] == ["image", "text", "audio"]
    spec = store.spec()
    assert [part.modality for part in spec.parts] == ["image", "text", "audio"]
    assert spec.part("image").shape == (3, 8, 8)
    assert spec.part("text").vocabulary == store.tokenizer().get_vocab_size()
    assert spec.part("audio").sound == tuple(SOUND)
    assert store.num_items == 40
    assert store.part("image").num_items == 20


def test_rows_have_the_labels_groups_and_split_of_their_samples(store):
    image = store.part("image")
    for name in ("train", "validation", "test"):
        expected = np.unique(store.rows("image")[store.split(name)])
        assert image.split(name).tolist() == expected.tolist()
    rows, labels = store.rows("image"), store.labels()
    assert (image.labels()[rows] == labels).all()
    assert (image.groups()[rows] == store.groups()).all()
    audio = store.part("audio")
    heard = np.concatenate([audio.split(name) for name in ("train", "validation", "test")])
    assert sorted(heard) == sorted(set(store.rows("audio")) - {-1})


def test_a_batch_takes_each_samples_rows_and_is_blank_where_there_are_none(store):
    indices = np.array([0, 1, 2, 7])
    batch = gather(store, indices)
    images = store.part("image").column("image")
    assert (batch.inputs["image"].numpy() == images[[0, 0, 1, 3]]).all()
    assert batch.present.keys() == {"audio"}
    assert batch.present["audio"].tolist() == [False, False, True, False]
    assert (batch.inputs["audio"][~batch.present["audio"]] == np.float16(SILENCE)).all()
    alone = gather(store.part("audio"), np.array([1]))
    frames = alone.inputs["audio"].shape[2]
    assert torch.equal(batch.inputs["audio"][2:3, :, :frames], alone.inputs["audio"])
    assert batch.valid["audio"].any(1).all()
    assert batch.labels.tolist() == store.labels()[indices].tolist()
    lengths = lengths_of_parts(store)
    padded = [batch_length(store.part(k), int(v[indices].max())) for k, v in lengths.items()]
    assert padded == [batch.inputs["text"].shape[1], batch.inputs["audio"].shape[2]]


def test_it_opens_again_with_the_same_fingerprint_and_sees_damage(store, tmp_path):
    again = write_store(tmp_path / "again", "several", example(), ORIGIN)
    assert again.fingerprint == store.fingerprint
    assert store.strata().tolist() == [0, 1] * 20
    (store.folder / "image" / "meta.json").write_text("{}")
    with pytest.raises(StoreError, match=r"image: column file meta\.json"):
        Store.open(store.folder)


def test_a_part_is_not_missing_quietly(store):
    with pytest.raises(DataError, match="has no part 'video'; it has: image, text, audio"):
        store.part("video")
    with pytest.raises(DataError, match="none, being of one modality"):
        store.part("image").part("image")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": {"label": np.arange(40) % 2}}, "another label names"),
        ({"groups": np.arange(40)}, "another group names"),
        ({"train": np.arange(31), "test": np.arange(31, 40), "groups": None}, "another split"),
        ({"strata": np.full(40, 2)}, "strata must be one of 2"),
    ],
)
def test_samples_that_share_a_row_must_agree(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        write_store(tmp_path / "store", "several", example(**change), ORIGIN)
    assert not (tmp_path / "store").exists()


def test_a_sample_has_two_modalities_at_least(tmp_path):
    parsed = example()
    parsed.rows["text"][0] = -1
    with pytest.raises(DataError, match="1 samples have fewer than two modalities, the first is"):
        write_store(tmp_path / "store", "several", parsed, ORIGIN)
    parsed.rows["text"][0] = 99
    with pytest.raises(DataError, match="must name one of 40 rows of text"):
        write_store(tmp_path / "store", "several", parsed, ORIGIN)


def test_the_config_of_a_part():
    config = {
        "name": "mine",
        "modality": "image+text",
        "spec": {"tasks": {"label": 2}, "num_samples": 9, "text": {"shape": [8]}},
    }
    part = part_config(config, "text")
    assert part["modality"] == "text"
    assert part["spec"] == {"tasks": {"label": 2}, "num_samples": None, "shape": [8]}
    with pytest.raises(ConfigError, match="has no part 'audio'"):
        part_config(config, "audio")
    with pytest.raises(ConfigError, match="has no part 'text'"):
        part_config({"name": "x", "modality": "text"}, "text")


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(4, 40), min_size=1, max_size=5),
    batch_size=st.integers(2, 4),
    seed=st.integers(0, 5),
    epoch=st.integers(0, 3),
)
def test_every_batch_is_of_one_stratum(counts, batch_size, seed, epoch):
    strata = np.repeat(np.arange(len(counts)), counts)
    order = Strata(strata, batch_size=batch_size)(seed, epoch, len(strata))
    batches = strata[order].reshape(-1, batch_size)
    assert len(batches) == len(strata) // batch_size
    assert (batches == batches[:, :1]).all()
    exact = np.array(counts) / len(strata) * len(batches)
    found = np.bincount(batches[:, 0], minlength=len(counts))
    assert (np.abs(found - exact) < 1).all()
    again = Strata(strata, batch_size=batch_size)(seed, epoch, len(strata))
    assert (again == order).all()
