import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trivium.data.batches import batch_length, gather, lengths_shown
from trivium.data.errors import DataError, StoreError
from trivium.data.spectrogram import SILENCE, LogMel, SoundSettings, frame_statistics
from trivium.data.store import Store
from trivium.data.writer import Parsed, Waves, write_store

from .conftest import ORIGIN

SETTINGS = SoundSettings(8000, 256, 80, 24, 60.0, 3900.0)
FRAMES, HOP = 40, 80


def audio_parsed(num_train=50, num_test=14, labelled=True, lengths=None, **change):
    rng = np.random.default_rng(0)
    num = num_train + num_test
    lengths = rng.integers(30, 50 * HOP, num) if lengths is None else np.array(lengths)
    flat = rng.normal(0, 2000, lengths.sum()).astype(np.int16)
    flat[flat == 0] = 1  # so that what is padded can be told from what is not
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    labels = {"kind": np.arange(num) % 2} if labelled else {}
    tasks = {"kind": ("even", "odd")} if labelled else {}
    waves = Waves(flat, offsets, SETTINGS, FRAMES)._replace(**change)
    return Parsed(
        {}, labels, tasks, np.arange(num_train), np.arange(num_train, num), ("note",), waves=waves
    )


def write(folder, parsed):
    return write_store(folder, "calls", parsed, ORIGIN)


def wave_of(parsed, index):
    return parsed.waves.flat[parsed.waves.offsets[index] : parsed.waves.offsets[index + 1]]


@pytest.fixture(scope="module")
def parsed():
    return audio_parsed()


@pytest.fixture(scope="module")
def calls(tmp_path_factory, parsed):
    return write(tmp_path_factory.mktemp("stores") / "calls", parsed)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A store of clips that are all as long as an encoder is shown, or longer."""
    lengths = [FRAMES * HOP + n for n in range(20)]
    parsed = audio_parsed(15, 5, lengths=lengths)
    return write(tmp_path_factory.mktemp("stores") / "whole", parsed)


def test_meta_tells_of_audio(calls, parsed):
    meta = Store.open(calls.folder, verify=True).meta
    assert (meta.modality, meta.shape) == ("audio", (1, FRAMES, 24))
    assert meta.columns == {"mel": "mel.float16.npy", "wave": "wave.int16.npy"}
    assert meta.sound == (8000, 256, 80, 24, 60.0, 3900.0)
    assert meta.counts == {"train": 46, "validation": 4, "test": 14}
    assert meta.vocabulary == 0
    longer = (np.diff(parsed.waves.offsets) // HOP > FRAMES).sum()
    assert longer > 0
    assert meta.notes == (
        "note",
        f"{longer} clips are longer than 0.4 s: an encoder is shown their beginning.",
    )


def test_the_spec_knows_how_sound_is_heard(calls):
    spec = calls.spec()
    assert (spec.modality, spec.shape, spec.num_classes) == ("audio", (1, FRAMES, 24), 2)
    assert SoundSettings(*spec.sound) == SETTINGS
    assert len(spec.mean) == len(spec.std) == 1


def test_waves_are_kept_as_they_are(calls, parsed):
    flat, offsets = calls.ragged("wave")
    assert flat.dtype == np.int16
    np.testing.assert_array_equal(flat, parsed.waves.flat)
    np.testing.assert_array_equal(offsets, parsed.waves.offsets)


def test_every_clip_has_its_log_mel(calls, parsed):
    mel, offsets = calls.ragged("mel")
    assert mel.dtype == np.float16
    for index, (start, end) in enumerate(itertools.pairwise(offsets)):
        wave = torch.from_numpy(wave_of(parsed, index) / 2**15).float()
        expected = LogMel(SETTINGS)(wave[None])[0].numpy()
        np.testing.assert_allclose(mel[start:end].astype(np.float32), expected, atol=0.01)
    lengths = np.diff(parsed.waves.offsets)
    np.testing.assert_array_equal(calls.lengths("mel"), np.maximum(1, lengths // HOP))


def test_statistics_are_of_train_alone(calls, tmp_path, parsed):
    mel, offsets = calls.ragged("mel")
    expected = frame_statistics(mel, offsets, calls.split("train"), limit=FRAMES)
    assert (calls.meta.statistics["mean"][0], calls.meta.statistics["std"][0]) == expected
    louder = parsed.waves.flat.copy()
    held = np.concatenate([calls.split("validation"), calls.split("test")])
    for index in held:
        louder[parsed.waves.offsets[index] : parsed.waves.offsets[index + 1]] //= 7
    other = write(tmp_path / "o", parsed._replace(waves=parsed.waves._replace(flat=louder)))
    assert other.meta.statistics == calls.meta.statistics
    assert other.fingerprint != calls.fingerprint


@pytest.mark.parametrize(
    "file",
    ["mel.float16.npy", "mel.offsets.int64.npy", "wave.int16.npy", "wave.offsets.int64.npy"],
)
def test_a_changed_byte_is_named(tmp_path, file):
    store = write(tmp_path / "calls", audio_parsed(10, 4))
    path = store.folder / file
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    Store.open(store.folder)
    with pytest.raises(StoreError, match=f"{file} was altered"):
        Store.open(store.folder, verify=True)


def test_the_same_clips_give_the_same_bytes(calls, tmp_path, parsed):
    again = write(tmp_path / "again", parsed)
    assert {p.name for p in again.folder.iterdir()} == {p.name for p in calls.folder.iterdir()}
    for file in calls.folder.iterdir():
        assert file.read_bytes() == (again.folder / file.name).read_bytes()
    assert calls.fingerprint == again.fingerprint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flat": np.zeros(9, np.float32)}, r"int16 samples .* got float32 \[9\]"),
        ({"offsets": np.array([0, 2, 5, 9], np.int32)}, "with int32 offsets up to 9"),
        ({"offsets": np.array([0, 2, 5, 8])}, r"int16 \[9\] with int64 offsets up to 8"),
        ({"offsets": np.array([0, 5, 5, 9])}, "calls: 1 clips are empty, the first is number 1"),
        ({"offsets": np.array([0, 6, 5, 9])}, "calls: 1 clips are empty, the first is number 1"),
    ],
)
def test_waves_that_do_not_fit_are_refused(tmp_path, change, message):
    offsets = np.array([0, 2, 5, 9])
    waves = Waves(np.ones(9, np.int16), offsets, SETTINGS, FRAMES)._replace(**change)
    parsed = Parsed({}, {}, {}, np.arange(2), np.array([2]), waves=waves)
    with pytest.raises(DataError, match=message):
        write(tmp_path / "calls", parsed)
    assert not any(tmp_path.iterdir())


def test_a_batch_is_cut_and_padded_with_silence(calls):
    lengths = calls.lengths("mel")
    longest, shortest = int(lengths.argmax()), int(lengths.argmin())
    assert lengths[shortest] < FRAMES < lengths[longest]
    indices = np.array([longest, 3, shortest, 3])
    batch = gather(calls, indices)
    values, valid = batch.inputs["audio"], batch.valid["audio"]
    assert (values.dtype, valid.dtype) == (torch.float16, torch.bool)
    assert (values.shape, valid.shape) == ((4, 1, FRAMES, 24), (4, FRAMES))
    mel, offsets = calls.ragged("mel")
    for row, index in enumerate(indices):
        num = min(int(lengths[index]), FRAMES)
        expected = torch.from_numpy(np.array(mel[offsets[index] : offsets[index] + num]))
        assert torch.equal(values[row, 0, :num], expected)
        assert (values[row, 0, num:] == torch.tensor(SILENCE).half()).all()
        assert valid[row].tolist() == [True] * num + [False] * (FRAMES - num)
    assert batch.indices.tolist() == indices.tolist()
    assert batch.labels.tolist() == (indices % 2).tolist()


def test_a_batch_of_waves_ends_where_its_log_mel_does(calls, parsed):
    indices = np.array([5, 0, 9, 5, 41])
    batch, mel = gather(calls, indices, column="wave"), gather(calls, indices)
    values, valid = batch.inputs["audio"], batch.valid["audio"]
    assert (values.dtype, valid.dtype) == (torch.int16, torch.bool)
    assert values.shape == valid.shape == (5, mel.inputs["audio"].shape[2] * HOP)
    for row, index in enumerate(indices):
        wave = wave_of(parsed, index)[: values.shape[1]]
        num = len(wave)
        assert values[row, :num].tolist() == wave.tolist()
        assert (values[row, num:] == 0).all()
        assert valid[row].tolist() == [True] * num + [False] * (values.shape[1] - num)


def test_the_log_mel_of_a_batch_of_waves_is_the_batch_of_log_mels(calls):
    """Up to the last frames of the longest: a batch of waves ends with a whole hop."""
    indices = np.flatnonzero(calls.lengths("mel") <= FRAMES)[:12]
    waves = gather(calls, indices, column="wave").inputs["audio"].float() / 2**15
    mel = gather(calls, indices)
    expected, valid = mel.inputs["audio"][:, 0].float(), mel.valid["audio"].clone()
    found = LogMel(SETTINGS)(waves)
    assert found.shape == expected.shape
    valid[:, -2:] = False
    torch.testing.assert_close(found[valid], expected[valid], atol=0.01, rtol=0)


def test_a_batch_of_short_clips_is_short(calls):
    shortest = np.argsort(calls.lengths("mel"))[:3]
    assert calls.lengths("mel")[shortest].max() <= 16
    assert gather(calls, shortest).inputs["audio"].shape == (3, 1, 16, 24)
    assert gather(calls, shortest, column="wave").inputs["audio"].shape == (3, 16 * HOP)


def test_clips_that_are_all_whole_have_no_mask(whole):
    indices = np.array([19, 0, 7])
    for column, shape in (("mel", (3, 1, FRAMES, 24)), ("wave", (3, FRAMES * HOP))):
        batch = gather(whole, indices, column=column)
        assert batch.valid == {}
        assert batch.inputs["audio"].shape == shape
    assert lengths_shown(whole) is None
    assert lengths_shown(whole, "wave") is None


@given(st.lists(st.integers(0, 63), min_size=1, max_size=9))
def test_a_batch_is_a_little_longer_than_its_longest_clip(calls, indices):
    shown = lengths_shown(calls)
    np.testing.assert_array_equal(shown, np.minimum(calls.lengths("mel"), FRAMES))
    longest = int(shown[indices].max())
    length = gather(calls, np.array(indices)).inputs["audio"].shape[2]
    assert length == batch_length(calls, longest)
    assert longest <= length <= min(longest + 15, FRAMES)


def test_a_batch_is_a_copy(calls):
    for column in ("mel", "wave"):
        before = gather(calls, np.array([5]), column=column).inputs["audio"].clone()
        gather(calls, np.array([5]), column=column).inputs["audio"].zero_()
        assert torch.equal(gather(calls, np.array([5]), column=column).inputs["audio"], before)


def test_a_batch_without_labels(tmp_path):
    bare = write(tmp_path / "bare", audio_parsed(10, 4, labelled=False))
    assert gather(bare, np.array([1, 2]), None).labels is None
    assert bare.spec().num_classes == 0
    with pytest.raises(DataError, match="has no labels"):
        gather(bare, np.array([1]))


def test_clips_larger_than_the_memory_need_not_be_in_it(tmp_path, parsed, calls):
    path = tmp_path / "wave"
    parsed.waves.flat.tofile(path)
    flat = np.memmap(path, np.int16, "r")
    store = write(tmp_path / "calls", parsed._replace(waves=parsed.waves._replace(flat=flat)))
    assert store.fingerprint == calls.fingerprint


def test_no_sample_of_a_wave_is_lost_whatever_stands_beside_it(calls):
    lengths = np.minimum(calls.lengths("wave"), FRAMES * HOP)
    rows = np.arange(len(lengths))
    assert (lengths % HOP != 0).any()
    for chosen in (*rows[:, None], rows):
        present = gather(calls, chosen, column="wave").valid["audio"].sum(1)
        np.testing.assert_array_equal(present, lengths[chosen])
