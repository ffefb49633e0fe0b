import io
import warnings

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import wavfile
from torchaudio.functional import resample

from trivium.data.errors import DataError
from trivium.data.formats import media
from trivium.data.formats.media import decode_sound, decode_sounds, write_flat

RATE = 8000


def encoded(wave, rate=RATE, kind="WAV", subtype=None):
    stream = io.BytesIO()
    soundfile.write(stream, wave, rate, format=kind, subtype=subtype)
    return stream.getvalue()


def sine(num=4000, rate=RATE, pitch=440.0, loud=0.5):
    return loud * np.sin(2 * np.pi * pitch * np.arange(num) / rate)


def noise(num=500, seed=0):
    return np.random.default_rng(seed).integers(-(2**15), 2**15, num).astype(np.int16)


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_sixteen_bits_of_the_right_rate_are_untouched(kind):
    np.testing.assert_array_equal(decode_sound(encoded(noise(), kind=kind), RATE, "horn"), noise())


def test_a_file_of_another_writer_is_read(tmp_path):
    wavfile.write(tmp_path / "a.wav", RATE, noise())
    np.testing.assert_array_equal(decode_sound(tmp_path / "a.wav", RATE, "horn"), noise())


@pytest.mark.parametrize(("kind", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)])
def test_lossy_formats_sound_alike(kind, subtype):
    expected = sine(8000) * 2**15
    got = decode_sound(encoded(sine(8000), RATE, kind, subtype), RATE, "horn").astype(float)
    assert len(got) == 8000
    middle = slice(2000, 6000)
    assert np.corrcoef(got[middle], expected[middle])[0, 1] > 0.99
    np.testing.assert_allclose(got[middle].std(), expected[middle].std(), rtol=0.05)


@pytest.mark.parametrize("own", [11025, 16000, 44100])
def test_another_rate_is_resampled_by_torchaudio(own):
    wave = sine(own // 4, own).astype(np.float32)
    stored = encoded(wave, own, subtype="FLOAT")
    expected = resample(torch.from_numpy(wave), own, RATE).numpy() * 2**15
    got = decode_sound(stored, RATE, "horn")
    assert got.dtype == np.int16
    assert len(got) == -(-len(wave) * RATE // own)
    assert np.abs(got - expected).max() <= 0.5 + 1e-3
    # The closed form too: the same sine, sampled at the other rate (away from the clip's ends).
    place = slice(200, len(got) - 200)
    np.testing.assert_allclose(got[place], sine(len(got))[place] * 2**15, atol=2**15 * 0.01)


def test_channels_are_averaged():
    both = np.stack([noise(seed=1), noise(seed=2), noise(seed=3)], axis=1)
    mean = both.astype(float).mean(axis=1)
    assert np.abs(decode_sound(encoded(both), RATE, "horn") - mean).max() <= 0.5 + 1e-3


@pytest.mark.parametrize(
    ("loud", "value"),
    [(1.0, 32767), (7.0, 32767), (-1.0, -32768), (-3.0, -32768), (2e-5, 1), (4e-5, 1)],
)
def test_amplitudes_are_clipped_and_rounded(loud, value):
    got = decode_sound(encoded(np.full(5, loud, np.float32), subtype="FLOAT"), RATE, "horn")
    assert got.tolist() == [value] * 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "horn is no readable sound"),
        (b"no sound at all", "horn is no readable sound"),
        (encoded(noise(), kind="FLAC")[:300], "horn is no readable sound"),
        (encoded(np.zeros(0, np.int16)), "horn holds no samples: remove it"),
        (encoded(np.array([0, np.nan], np.float32), subtype="FLOAT"), "horn holds values that are"),
        (encoded(np.array([0, np.inf], np.float32), subtype="FLOAT"), "horn holds values that are"),
    ],
    ids=["nothing", "text", "half", "no samples", "nan", "inf"],
)
def test_a_broken_sound_is_one_clear_error(content, message):
    with pytest.raises(DataError, match=message):
        decode_sound(content, RATE, "horn")


def test_an_endless_sound_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(media, "MAX_SAMPLES", 999)
    two = np.stack([noise(), noise()], axis=1)
    with pytest.raises(DataError, match="horn: 500 x 2 samples are too many"):
        decode_sound(encoded(two), RATE, "horn")
    assert len(decode_sound(encoded(noise(999)), RATE, "horn")) == 999


@given(st.binary(max_size=60), st.integers(8, 1100))
def test_whatever_the_bytes_it_is_a_sound_or_one_error(tail, keep):
    content = encoded(noise())[:keep] + tail
    try:
        wave = decode_sound(content, RATE, "odd")
    except DataError as error:
        said = str(error)
    else:
        assert wave.dtype == np.int16
        assert len(wave) >= 1
        said = "odd"
    assert said.startswith("odd")


def test_many_sounds_lie_one_after_another(tmp_path):
    waves = [noise(num, num) for num in (30, 1, 500)]
    sources = [(f"{i}", encoded(wave)) for i, wave in enumerate(waves)]
    clips = decode_sounds(iter(sources), 3, RATE, tmp_path)
    assert clips.offsets.tolist() == [0, 30, 31, 531]
    assert clips.good.tolist() == [True] * 3
    np.testing.assert_array_equal(clips.flat, np.concatenate(waves))


def test_they_lie_on_disk_and_not_in_memory(tmp_path):
    flat, _ = write_flat((noise(100, i) for i in range(5)), tmp_path)
    assert isinstance(flat, np.memmap)
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) == 1000


def test_a_broken_one_is_an_error_or_left_out(tmp_path):
    sources = [("a", encoded(noise(9))), ("b", b"?"), ("c", encoded(noise(7)))]
    with pytest.raises(DataError, match=r"b is no readable sound.*; remove it, or set on_error"):
        decode_sounds(sources, 3, RATE, tmp_path)
    with pytest.warns(UserWarning, match="1 sounds left out; the first: b is no readable sound"):
        clips = decode_sounds(sources, 3, RATE, tmp_path, "skip")
    assert clips.good.tolist() == [True, False, True]
    assert clips.offsets.tolist() == [0, 9, 10, 17]
    assert clips.flat[9] == 0
    np.testing.assert_array_equal(clips.flat[10:], noise(7))


def test_nothing_but_broken_ones_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"none of 2 sounds could be read; the first: .*a is no"):
        decode_sounds([("a", b"?"), ("b", b"?")], 2, RATE, tmp_path, "skip")
    with pytest.raises(DataError, match="none of 0 sounds"):
        decode_sounds([], 0, RATE, tmp_path)


def test_whole_sounds_raise_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decode_sounds([("a", encoded(noise()))], 1, RATE, tmp_path, "skip")
