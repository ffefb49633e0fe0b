"""Log-mel of whole datasets, against torchaudio clip by clip."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchaudio.transforms import MelSpectrogram

from trivium.data import spectrogram
from trivium.data.spectrogram import SILENCE, SMALLEST, SoundSettings, frame_statistics, log_mels

SETTINGS = SoundSettings(8000, 256, 80, 24, 60.0, 3900.0)
LENGTHS = [1000, 79, 80, 3000, 1, 1000, 240, 159, 160, 2999]


def clips(lengths=LENGTHS, seed=0):
    rng = np.random.default_rng(seed)
    flat = rng.normal(0, 3000, sum(lengths)).clip(-(2**15), 2**15 - 1).astype(np.int16)
    return flat, np.cumsum([0, *lengths]).astype(np.int64)


def alone(wave):
    """A clip's log-mel by torchaudio itself, without any other clip."""
    mel = MelSpectrogram(
        8000, n_fft=256, hop_length=80, n_mels=24, f_min=60, f_max=3900, pad_mode="constant"
    )(torch.from_numpy(wave / 2**15).float())
    return torch.log(mel.clamp(min=SMALLEST)).T[: max(1, len(wave) // 80)].numpy()


def test_every_clip_has_its_own_log_mel_whatever_stands_beside_it():
    flat, offsets = clips()
    mel, starts = log_mels(flat, offsets, SETTINGS)
    assert np.diff(starts).tolist() == [max(1, n // 80) for n in LENGTHS]
    assert (mel.dtype, mel.shape, starts[0], starts[-1]) == (
        np.float16,
        (starts[-1], 24),
        0,
        len(mel),
    )
    for number in range(len(LENGTHS)):
        expected = alone(flat[offsets[number] : offsets[number + 1]])
        found = mel[starts[number] : starts[number + 1]].astype(np.float32)
        np.testing.assert_allclose(found, expected, atol=0.01)


def test_how_many_are_transformed_at_once_changes_nothing(monkeypatch):
    expected, starts = log_mels(*clips(), SETTINGS)
    for most in (1, 2000, 5000):
        monkeypatch.setattr(spectrogram, "AT_ONCE", most)
        mel, again = log_mels(*clips(), SETTINGS)
        np.testing.assert_array_equal(starts, again)
        np.testing.assert_allclose(mel.astype(float), expected.astype(float), atol=0.01)


def test_silence_is_the_floor():
    mel, _ = log_mels(np.zeros(500, np.int16), np.array([0, 500]), SETTINGS)
    np.testing.assert_allclose(mel.astype(float), SILENCE, atol=0.005)


def test_full_scale_fits_half_precision():
    flat = np.tile([2**15 - 1, -(2**15)], 2000).astype(np.int16)
    mel, _ = log_mels(flat, np.array([0, 4000]), SETTINGS)
    assert np.isfinite(mel).all()


def test_the_result_lies_on_disk_and_leaves_nothing_there(tmp_path):
    mel, _ = log_mels(*clips(), SETTINGS, tmp_path)
    assert isinstance(mel, np.memmap)
    assert Path(mel.filename).parent == tmp_path
    assert not any(tmp_path.iterdir())


@given(st.lists(st.integers(1, 400), min_size=1, max_size=30), st.integers(1, 2000))
def test_parts_hold_every_clip_once_and_stay_within_the_bound(lengths, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spectrogram, "AT_ONCE", most)
        parts = spectrogram._parts(np.array(lengths))
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(lengths)))
    sizes = np.array(lengths)
    assert all(len(part) == 1 or len(part) * sizes[part].max() <= most for part in parts)
    # Clips of a part are neighbours in length, so that little is padded.
    assert np.concatenate([sizes[part] for part in parts]).tolist() == sorted(lengths)


def test_statistics_are_those_of_the_frames_that_are_shown():
    mel, starts = log_mels(*clips(), SETTINGS)
    chosen = np.array([0, 3, 9])
    shown = np.concatenate([mel[starts[i] : starts[i + 1]][:15] for i in chosen]).astype(float)
    mean, std = frame_statistics(mel, starts, chosen, limit=15)
    assert mean == pytest.approx(shown.mean(), abs=6e-5)
    assert std == pytest.approx(shown.std(), abs=6e-5)
    assert (mean, std) == (round(mean, 4), round(std, 4))
    assert frame_statistics(mel, starts, chosen[:1], limit=15) != (mean, std)
    whole = np.concatenate([mel[starts[i] : starts[i + 1]] for i in chosen]).astype(float)
    assert frame_statistics(mel, starts, chosen, limit=99)[0] == pytest.approx(
        whole.mean(), abs=6e-5
    )


def test_clips_that_are_all_alike_have_a_positive_deviation():
    mel = np.full((9, 4), -2.5, np.float16)
    offsets = np.array([0, 4, 9])
    assert frame_statistics(mel, offsets, np.arange(2), limit=9) == (-2.5, 0.0001)
