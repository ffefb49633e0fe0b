import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transforms.audio.clips import (
    BANDS,
    LENGTHS,
    SEEDS,
    check_an_operation,
    mels,
    own,
    seeded,
    waves,
)
from trivium.data.spectrogram import SILENCE
from trivium.transforms.audio.spans import Shift, WaveShift
from trivium.types import View


def moved(clip, later, higher, silence):
    """A clip [place, band] moved by slices."""
    result = torch.full_like(clip, silence)
    places, bands = clip.shape
    if abs(later) < places and abs(higher) < bands:
        to = (
            slice(max(0, later), places + min(0, later)),
            slice(max(0, higher), bands + min(0, higher)),
        )
        of = (
            slice(max(0, -later), places + min(0, -later)),
            slice(max(0, -higher), bands + min(0, -higher)),
        )
        result[to] = clip[of]
    return result


@given(LENGTHS, st.floats(0, 0.99), st.integers(0, BANDS), SEEDS)
def test_clips_move_and_silence_moves_in(lengths, time, frequency, seed):
    view = mels(lengths)
    result = check_an_operation(Shift(time, frequency), view, seed)
    assert torch.equal(result.valid, view.valid)
    for clip, length in enumerate(lengths):
        most = int(time * length + 0.5 + 1e-3)
        candidates = [
            moved(own(view, clip), later, higher, SILENCE)
            for later in range(-most, most + 1)
            for higher in range(-frequency, frequency + 1)
        ]
        assert any(torch.equal(own(result, clip), candidate) for candidate in candidates)


@given(LENGTHS, st.floats(0, 0.99), SEEDS)
def test_waves_move_and_zeros_move_in(lengths, time, seed):
    view = waves(lengths)
    result = check_an_operation(WaveShift(time), view, seed)
    for clip, length in enumerate(lengths):
        most = int(time * length + 0.5 + 1e-3)
        wave = own(view, clip)[:, None]
        candidates = [moved(wave, later, 0, 0.0)[:, 0] for later in range(-most, most + 1)]
        assert any(torch.equal(own(result, clip), candidate) for candidate in candidates)


def test_shifts_are_uniform_and_independent():
    values = torch.full((20000, 1, 10, 5), SILENCE)
    values[:, :, 5, 2] = 0.0
    result = Shift(0.2, 1)(View(values), seeded(0)).values[:, 0]
    place = result.flatten(1).argmax(1)
    frame, band = place // 5 - 5, place % 5 - 2
    count = torch.zeros(5, 3).index_put_((frame + 2, band + 1), torch.ones(20000), accumulate=True)
    assert count.sum() == 20000
    assert (count - 20000 / 15).abs().max() < 5 * (20000 / 15) ** 0.5
    wave = torch.zeros(20000, 10)
    wave[:, 5] = 1.0
    count = WaveShift(0.2)(View(wave), seeded(0)).values.argmax(1).bincount(minlength=10)
    assert count.nonzero().flatten().tolist() == [3, 4, 5, 6, 7]
    assert (count[3:8] - 4000).abs().max() < 5 * 4000**0.5


@pytest.mark.parametrize(
    "make", [lambda: Shift(1.0), lambda: Shift(0.1, -1), lambda: WaveShift(-0.1)]
)
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="must"):
        make()
