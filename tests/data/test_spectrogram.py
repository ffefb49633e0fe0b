"""From waves to log-mel spectrograms, and back to something that sounds alike."""

import math

import numpy as np
import pytest
import torch
from torchaudio.transforms import InverseMelScale, MelSpectrogram

from trivium.data.spectrogram import SILENCE, SMALLEST, LogMel, SoundSettings, settings_of, to_waves

SETTINGS = [
    SoundSettings(16000, 400, 160, 64, 0.0, 8000.0),
    SoundSettings(8000, 256, 128, 40, 50.0, 4000.0),
    SoundSettings(16000, 1024, 320, 64, 20.0, 8000.0),
]
EACH = pytest.mark.parametrize("settings", SETTINGS, ids=lambda one: f"{one.rate}-{one.window}")


def tone(settings, *frequencies, seconds=0.5):
    time = torch.arange(int(seconds * settings.rate)) / settings.rate
    waves = [torch.sin(2 * math.pi * f * time) for f in frequencies]
    return torch.stack(waves).sum(0)[None] * 0.5 / len(frequencies)


@EACH
def test_log_mel_is_torchaudios_from_silence_on(settings):
    waves = tone(settings, 440.0, 1300.0)
    mel = MelSpectrogram(
        settings.rate, n_fft=settings.window, hop_length=settings.hop, n_mels=settings.bands,
        f_min=settings.low, f_max=settings.high, pad_mode="constant",
    )(waves)  # fmt: skip
    ours = LogMel(settings)(waves)
    frames = settings.frames(waves.shape[1])
    assert ours.shape == (1, frames, settings.bands)
    truth = torch.log(mel.clamp(min=SMALLEST)).transpose(1, 2)[:, :frames]
    torch.testing.assert_close(ours, truth)
    assert (LogMel(settings)(torch.zeros(1, 4000)) == torch.tensor(SILENCE)).all()


@EACH
def test_a_tone_keeps_its_pitch(settings):
    waves = to_waves(LogMel(settings)(tone(settings, 440.0)), settings)[0].numpy()
    spectrum = np.abs(np.fft.rfft(waves))
    found = np.fft.rfftfreq(len(waves), 1 / settings.rate)[spectrum.argmax()]
    assert abs(found - 440) < 25  # a mel band is some 50 Hz wide there


@EACH
def test_the_log_mel_of_what_is_heard_is_the_original(settings):
    partials = tone(settings, 261.6, 523.2, 784.8, 1046.4)
    decay = torch.exp(-4 * torch.arange(partials.shape[1]) / settings.rate)
    noise = 0.1 * torch.randn(partials.shape, generator=torch.Generator().manual_seed(0))
    original = LogMel(settings)(torch.cat([partials * decay, noise]))
    heard = LogMel(settings)(to_waves(original, settings))
    for before, after in zip(original, heard, strict=True):
        assert np.corrcoef(before.flatten(), after.flatten())[0, 1] > 0.95
        assert (before - after).abs().mean() < 0.7  # of values that range over 15 nats


def test_silence_between_partials_stays_deeper_than_by_least_squares():
    """torchaudio's own inverse of the mel scale, cut off at zero, is what it is compared with."""
    settings = SETTINGS[2]
    original = LogMel(settings)(tone(settings, 440.0))
    inverse = InverseMelScale(
        settings.window // 2 + 1, settings.bands, settings.rate, settings.low, settings.high,
        driver="gelsd",
    )  # fmt: skip
    power = (original.exp() - SMALLEST).transpose(1, 2)
    filters = MelSpectrogram(
        settings.rate, n_fft=settings.window, n_mels=settings.bands, f_min=settings.low,
        f_max=settings.high,
    ).mel_scale  # fmt: skip
    theirs = filters(inverse(power).clamp(min=0)).clamp(min=SMALLEST).log().transpose(1, 2)
    ours = LogMel(settings)(to_waves(original, settings))
    assert (ours - original).abs().mean() < 0.2 * (theirs - original).abs().mean()


@pytest.mark.parametrize("frames", [1, 2, 3, 50])
def test_a_hop_of_samples_for_each_frame(frames):
    settings = SETTINGS[0]
    log_mel = torch.full((2, frames, settings.bands), -3.0)
    waves = to_waves(log_mel, settings)
    assert waves.shape == (2, frames * settings.hop)
    assert waves.isfinite().all()
    assert torch.equal(waves, to_waves(log_mel, settings))
    silent = to_waves(torch.full_like(log_mel, SILENCE), settings)
    assert silent.abs().max() < 1e-4


def test_settings_that_are_impossible_say_why():
    good = SETTINGS[0]
    assert good.problem() == ""
    assert settings_of(tuple(float(each) for each in good)) == good
    assert "positive" in good._replace(bands=0).problem()
    assert "got 0.0, 9000.0" in good._replace(high=9000.0).problem()
    assert "leaves samples out" in good._replace(hop=400).problem()


@EACH
def test_what_stands_behind_a_clip_in_a_batch_changes_none_of_its_frames(settings):
    waves = torch.randn(3, 5 * settings.window + 7, generator=torch.Generator().manual_seed(0)) / 9
    expected = LogMel(settings)(waves)
    for missing in (1, settings.hop - 1, settings.hop, 3 * settings.window):
        longer = torch.nn.functional.pad(waves, (0, missing))
        found = LogMel(settings)(longer)[:, : expected.shape[1]]
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@EACH
def test_bands_share_the_power_of_a_tone(settings):
    """Parseval: a sine of amplitude A under a Hann window of N samples has 3 A^2 N^2 / 32."""
    amplitude = 0.3
    for frequency in (500.0, 1234.5, 2750.0):
        log_mel = LogMel(settings)(tone(settings, frequency) * 2 * amplitude)
        middle = log_mel[0, log_mel.shape[1] // 2].double().exp().sum()
        expected = 3 * amplitude**2 * settings.window**2 / 32
        assert middle.item() == pytest.approx(expected, rel=0.02)


def test_a_clip_has_a_frame_for_each_hop_and_one_at_least():
    settings = SETTINGS[0]
    for num, frames in ((1, 1), (159, 1), (160, 1), (319, 1), (320, 2), (16000, 100)):
        assert settings.frames(num) == frames
        assert LogMel(settings)(torch.zeros(2, num)).shape == (2, frames, 64)
