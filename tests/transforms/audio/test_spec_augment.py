import pytest
import torch
import torchaudio
from hypothesis import given
from hypothesis import strategies as st

from transforms.audio.clips import LENGTHS, SEEDS, check_an_operation, mels, own, seeded
from trivium.transforms.audio.spans import RULER, SpecAugment
from trivium.transforms.base import draw_seed
from trivium.types import View

WIDTHS = st.floats(0, 1)


def augment(num_time, time_width, num_frequency, frequency_width):
    return SpecAugment(
        num_time=num_time,
        time_width=time_width,
        num_frequency=num_frequency,
        frequency_width=frequency_width,
    )


@given(LENGTHS, st.integers(0, 3), WIDTHS, st.integers(0, 3), WIDTHS, SEEDS)
def test_whole_frames_and_bands_become_the_clip_s_mean(
    lengths, num_time, time_width, num_frequency, frequency_width, seed
):
    view = mels(lengths)
    op = augment(num_time, time_width, num_frequency, frequency_width)
    result = check_an_operation(op, view, seed)
    assert torch.equal(result.valid, view.valid)
    for clip, length in enumerate(lengths):
        changed = own(result, clip) != own(view, clip)
        frames, bands = changed.all(1), changed.all(0)
        assert torch.equal(changed, frames[:, None] | bands)
        mean = own(view, clip).mean()
        torch.testing.assert_close(
            own(result, clip)[changed], mean.expand(int(changed.sum())), atol=1e-5, rtol=0
        )
        if not bands.all():
            assert frames.sum() <= num_time * (time_width * length + 1)
        if not frames.all():
            assert bands.sum() <= num_frequency * (frequency_width * len(bands) + 1)


def test_as_long_as_the_ruler_the_masks_are_torchaudio_s_bit_by_bit():
    values = torch.randn(4, 1, RULER, RULER, generator=seeded(0))
    result = augment(2, 0.2, 3, 0.1)(View(values), seeded(7)).values
    torch.manual_seed(draw_seed(seeded(7)))
    reference = torchaudio.transforms.SpecAugment(2, 200, 3, 100, zero_masking=True)
    expected = reference(values.mT).mT
    assert torch.equal(result != values, expected != values)
    assert 0.1 < (expected == 0).float().mean() < 0.6


def test_each_place_is_hidden_as_often_as_torchaudio_hides_it():
    view = View(mels([20] * 4000, 20, bands=10).values)
    result = augment(1, 0.4, 0, 0.0)(view, seeded(0)).values
    rate = (result != view.values).all(3).float().mean(0).flatten()
    reference = torchaudio.transforms.TimeMasking(400, iid_masks=True)
    rulers = reference(torch.ones(4000, 1, 1, RULER)) == 0
    expected = rulers.float().mean(0).flatten().unflatten(0, (20, -1)).mean(1)
    assert (rate - expected).abs().max() < 6 * (0.25 / 4000) ** 0.5
    assert rate.mean().item() == pytest.approx(0.2, abs=0.01)


def test_padding_does_not_even_round_the_mean_of_a_long_clip_otherwise():
    view = mels([700, 611, 500], 700, bands=16)
    check_an_operation(augment(1, 0.5, 1, 0.5), view, 0, more=133, tolerance=0.0)


def test_clips_have_masks_of_their_own():
    view = View(mels([24] * 32).values[:1].expand(32, -1, -1, -1))
    result = augment(2, 0.3, 2, 0.3)(view, seeded(0)).values
    assert len(result.flatten(1).unique(dim=0)) > 28


def test_nothing_is_hidden_where_nothing_is_asked():
    view = mels([5, 24])
    assert torch.equal(augment(0, 0.5, 3, 0.0)(view, seeded(0)).values, view.values)


@pytest.mark.parametrize(
    "settings", [(-1, 0.1, 1, 0.1), (1, 1.1, 1, 0.1), (1, 0.1, -1, 0.1), (1, 0.1, 1, -0.1)]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match="must"):
        augment(*settings)
