import math

import pytest
import torch
import torchaudio
from hypothesis import given
from hypothesis import strategies as st

from transforms.audio.clips import LENGTHS, SEEDS, check_an_operation, mels, own, seeded, waves
from trivium.data.spectrogram import SILENCE, LogMel, SoundSettings
from trivium.transforms.audio.waves import Gain, WaveGain
from trivium.types import View

DECIBELS = st.tuples(st.floats(-20, 20), st.floats(-20, 20)).map(sorted)


@given(LENGTHS, DECIBELS, SEEDS)
def test_one_gain_in_range_explains_each_clip(lengths, decibels, seed):
    view = mels(lengths)
    result = check_an_operation(Gain(decibels), view, seed)
    for clip in range(len(lengths)):
        change = own(result, clip) - own(view, clip)
        free = own(result, clip) > SILENCE
        gains = change[free] * 10 / math.log(10)
        if len(gains):
            assert gains.max() - gains.min() < 1e-4
            assert decibels[0] - 1e-4 <= gains.min() <= decibels[1] + 1e-4


@given(LENGTHS, st.floats(-20, 20), SEEDS)
def test_waves_are_torchaudio_s_gain_clipped(lengths, decibels, seed):
    view = waves(lengths)
    result = check_an_operation(WaveGain((decibels, decibels)), view, seed)
    expected = torchaudio.functional.gain(view.values, decibels).clamp(-1, 1)
    torch.testing.assert_close(result.values, expected, atol=1e-6, rtol=1e-5)


def test_a_gain_of_the_wave_is_one_of_the_log_mel():
    settings = SoundSettings(8000, 256, 80, 20, 50.0, 4000.0)
    wave = torch.randn(1, 8000, generator=seeded(0)) * 0.1
    wave[:, 4000:] = 0.0  # digital silence stays silence
    for decibels in (-6.0, 6.0):
        louder = LogMel(settings)(torchaudio.functional.gain(wave, decibels))
        added = Gain((decibels, decibels))(View(LogMel(settings)(wave)[:, None]))
        torch.testing.assert_close(added.values[:, 0], louder, atol=1e-4, rtol=0)
        assert (added.values[:, 0, -10:] == torch.tensor(SILENCE)).all()


def test_half_precision_silence_stays_silent():
    stored = torch.full((1, 1, 4, 2), SILENCE, dtype=torch.float16).float()
    result = Gain((6.0, 6.0))(View(stored)).values
    assert (result == torch.tensor(SILENCE)).all()


def test_gains_are_uniform():
    quiet = torch.full((20000, 1), 0.01)
    result = 20 * (WaveGain((-6.0, 6.0))(View(quiet), seeded(0)).values / 0.01).log10()
    assert result.mean().abs() < 5 * (12 / 12**0.5) / 20000**0.5
    assert result.std().item() == pytest.approx(12 / 12**0.5, rel=0.02)
    assert -6.001 <= result.min() < -5.9
    assert 5.9 < result.max() <= 6.001


@pytest.mark.parametrize("kind", [Gain, WaveGain])
def test_no_range_is_refused(kind):
    with pytest.raises(ValueError, match="decibels must be"):
        kind((6.0, -6.0))
