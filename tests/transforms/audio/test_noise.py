import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from transforms.audio.clips import LENGTHS, SEEDS, check_an_operation, own, seeded, waves
from trivium.transforms.audio.waves import AT_ONCE, Noise, white_noise
from trivium.types import View


def measured(clean, noisy):
    """Signal-to-noise ratio in decibels."""
    clean, noise = clean.double(), (noisy - clean).double()
    return float(10 * (clean.square().sum() / noise.square().sum()).log10())


@given(LENGTHS, st.floats(5, 40), SEEDS)
def test_the_ratio_over_the_valid_samples_is_the_stated_one(lengths, snr, seed):
    view = waves(lengths)
    view = View(view.values.clamp(-0.3, 0.3), view.valid)
    result = check_an_operation(Noise((snr, snr)), view, seed, more=AT_ONCE, tolerance=1e-6)
    assert torch.equal(result.valid, view.valid)
    for clip in range(len(lengths)):
        if own(result, clip).abs().max() < 1:
            assert measured(own(view, clip), own(result, clip)) == pytest.approx(snr, abs=0.02)


def test_ratios_are_uniform_in_their_range():
    view = View(0.1 * torch.randn(2000, 400, generator=seeded(5)))
    result = Noise((10.0, 30.0))(view, seeded(0)).values
    ratios = [measured(one, two) for one, two in zip(view.values, result, strict=True)]
    assert stats.kstest(ratios, stats.uniform(10, 20).cdf).pvalue > 1e-3


def test_the_noise_is_white_and_gaussian():
    wave = torch.full((4, 20000), 0.1)
    noise = (Noise((20.0, 20.0))(View(wave), seeded(0)).values - wave) / 0.01
    assert stats.kstest(noise.flatten()[::4].numpy(), "norm").pvalue > 1e-3
    for lag in (1, 2, 80, AT_ONCE):
        assert (noise[:, lag:] * noise[:, :-lag]).mean().abs() < 5 / noise[:, lag:].numel() ** 0.5
    assert (noise[0] * noise[1]).mean().abs() < 5 / 20000**0.5


def test_digital_silence_gets_no_noise():
    result = Noise((0.0, 0.0))(View(torch.zeros(3, 50)), seeded(0))
    assert torch.equal(result.values, torch.zeros(3, 50))


def test_a_loud_sum_is_clipped():
    result = Noise((0.0, 0.0))(View(torch.ones(1, 1000)), seeded(0)).values
    assert (result == 1).float().mean() > 0.4
    assert result.min() >= -1


@pytest.mark.parametrize("samples", [1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE])
def test_shorter_noise_is_a_part_of_longer(samples):
    long, short = (white_noise(3, num, seeded(2)) for num in (4 * AT_ONCE, samples))
    assert torch.equal(long[:, :samples], short)


def test_no_range_is_refused():
    with pytest.raises(ValueError, match="snr must be"):
        Noise((30.0, 10.0))
