"""Cepstral coefficients against torchaudio 2.11 (`MFCC`, `compute_deltas`, and its port of Kaldi,
which fairseq's HuBERT takes) and SciPy's DCT."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dct
from torchaudio.compliance import kaldi
from torchaudio.functional import compute_deltas
from torchaudio.transforms import MFCC as Reference  # noqa: N811

from clips import CLIPS, HOP, SOUND, alone, mels, noisy_tones, waves
from trivium.data.spectrogram import LogMel, settings_of
from trivium.objectives.mfcc import MFCC, of_tokens

CLOSE = {"atol": 1e-3, "rtol": 1e-4}
LIFTER = kaldi._get_lifter_coeffs(13, 22.0)
LENGTHS = [24, 17, 5, 1]


@pytest.fixture
def transform():
    return MFCC(CLIPS)


def test_coefficients_are_torchaudios(transform):
    rate, window, hop, bands, low, high = SOUND
    # So loud that the reference's offset of 1e-6 in the logarithm vanishes.
    values = 20 * torch.randn(2, 768)
    theirs = Reference(
        int(rate), 13, log_mels=True,
        melkwargs={
            "n_fft": int(window), "hop_length": int(hop), "n_mels": int(bands),
            "f_min": low, "f_max": high, "pad_mode": "constant",
        },
    )(values)[:, :, :24] * LIFTER[:, None]  # fmt: skip
    first = compute_deltas(theirs)
    expected = torch.cat([theirs, first, compute_deltas(first)], dim=1).transpose(1, 2)
    torch.testing.assert_close(transform(values), expected, **CLOSE)
    mel = LogMel(settings_of(SOUND))(values).unsqueeze(1)
    torch.testing.assert_close(transform(mel), expected, **CLOSE)


def test_coefficients_are_scipys_and_differences_are_slopes(transform):
    view = mels([24])
    found = transform(view.values)[0].double()
    mel = view.values[0, 0].double()
    expected = torch.from_numpy(dct(mel.numpy(), norm="ortho")[:, :13]) * LIFTER
    torch.testing.assert_close(found[:, :13], expected, **CLOSE)
    for start in (0, 13):
        values = found[:, start : start + 13]
        held = torch.cat([values[:1], values[:1], values, values[-1:], values[-1:]])
        # The slope of the line that fits five frames best.
        slope = sum(step * held[2 + step : 26 + step] for step in (-2, -1, 1, 2)) / 10
        torch.testing.assert_close(found[:, start + 13 : start + 26], slope, **CLOSE)


@pytest.mark.parametrize("kind", ["mel", "wave"])
def test_a_clip_alone_is_as_in_a_padded_batch(transform, kind):
    lengths = LENGTHS if kind == "mel" else [768, 767, 333, 31, 3]
    view = (mels if kind == "mel" else waves)(lengths)
    frames = transform(view.values, view.valid)
    assert frames.shape == (len(lengths), 24, 39)
    for number, length in enumerate(lengths):
        count = length if kind == "mel" else max(length // HOP, 1)
        one = transform(alone(view, number).values)[0]
        assert len(one) == count
        torch.testing.assert_close(frames[number, :count], one, **CLOSE)
        held = one[-1:].expand(24 - count, -1)
        torch.testing.assert_close(frames[number, count:], held, **CLOSE)


@given(
    st.integers(1, 40), st.integers(1, 5), st.integers(1, 3), st.integers(1, 50), st.integers(1, 50)
)
@settings(max_examples=100)
def test_tokens_have_the_mean_of_the_frames_whose_centre_is_theirs(
    num_frames, rows, columns, hop, samples
):
    frames = torch.randn(2, num_frames, 3)
    found = of_tokens(frames, (rows, columns), hop=hop, samples=samples)
    assert found.shape == (2, rows * columns, 3)
    for row in range(rows):
        own = [n for n in range(10**4) if samples * row <= n * hop < samples * (row + 1)]
        own = own or [-(-samples * row // hop)]
        expected = frames[:, [min(n, num_frames - 1) for n in own]].mean(1)
        for column in range(columns):
            torch.testing.assert_close(found[:, row * columns + column], expected)


def test_patches_have_their_own_frames(transform):
    frames = transform(mels([24]).values)
    found = of_tokens(frames, (3, 2), hop=HOP, samples=8 * HOP)
    expected = frames.view(1, 3, 8, 39).mean(2).repeat_interleave(2, dim=1)
    torch.testing.assert_close(found, expected)


def test_a_last_patch_that_is_not_full_has_the_frames_that_are_there(transform):
    frames = transform(mels([17]).values)
    found = of_tokens(frames, (3, 1), hop=HOP, samples=8 * HOP)
    torch.testing.assert_close(found[0, 0], frames[0, :8].mean(0))
    torch.testing.assert_close(found[0, 1], frames[0, 8:16].mean(0))
    torch.testing.assert_close(found[0, 2], frames[0, 16])


def test_loudness_is_the_first_coefficient_alone(transform):
    values = torch.stack(noisy_tones([768]))
    quiet, loud = transform(values), transform(8 * values)
    difference = (loud - quiet)[0]
    rest = torch.cat([difference[:, 1:13], difference[:, 13:]], dim=1)
    heard = LogMel(settings_of(SOUND))(values).amin() > -11
    assert heard
    assert difference[:, 0].min() > 1
    assert rest.abs().max() < 1e-3


def test_it_stays_in_float32_and_without_a_gradient(transform):
    values = mels([24]).values.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        frames = transform(values)
    assert frames.dtype == torch.float32
    assert not frames.requires_grad


def test_too_few_bands_are_refused():
    with pytest.raises(ValueError, match="13 cepstral coefficients need as many mel bands"):
        MFCC(CLIPS._replace(shape=(1, 24, 12), sound=(8000.0, 64.0, 32.0, 12.0, 0.0, 4000.0)))
