import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.audio.clips import SEEDS, check_an_operation, seeded, waves
from trivium.transforms.audio.recipe import LogMelOp
from trivium.types import View

HOP = 40
SETTINGS = {"rate": 4000, "window": 100, "hop": HOP, "bands": 8, "low": 50.0, "high": 2000.0}


@settings(max_examples=40)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=4), SEEDS)
def test_clips_have_one_frame_per_hop_whatever_the_padding(lengths, seed):
    view = waves(lengths, 16 * HOP + 60)
    result = check_an_operation(LogMelOp(**SETTINGS), view, seed, more=3 * HOP, tolerance=1e-3)
    assert result.values.shape == (len(lengths), 1, 17, 8)
    assert result.valid.sum(1).tolist() == [max(1, length // HOP) for length in lengths]


def test_values_are_those_of_torchaudio():
    wave = 0.1 * torch.randn(3, 10 * HOP, generator=seeded(0))
    result = LogMelOp(**SETTINGS)(View(wave))
    assert result.valid is None
    power = torchaudio.transforms.MelSpectrogram(
        4000, 100, hop_length=HOP, f_min=50.0, f_max=2000.0, n_mels=8, pad_mode="constant"
    )(wave)
    expected = power.clamp(min=1e-5).log().mT[:, :10]
    torch.testing.assert_close(result.values[:, 0], expected)


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="log-mel spectrograms: low and high must"):
        LogMelOp(**{**SETTINGS, "high": 3000.0})
