import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transforms.audio.clips import LENGTHS, MOST, SEEDS, check_an_operation, mels, own, seeded
from trivium.transforms.audio.spans import TimeCrop
from trivium.types import View

SCALES = st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted)


@given(LENGTHS, SCALES, SEEDS)
def test_a_crop_is_a_span_of_the_clip_of_the_asked_share(lengths, scale, seed):
    view = mels(lengths)
    result = check_an_operation(TimeCrop(scale), view, seed)
    assert result.values.shape[2] == max(1, round(scale[1] * MOST))
    for clip, length in enumerate(lengths):
        whole, span = own(view, clip), own(result, clip)
        assert max(1, round(scale[0] * length)) <= len(span) <= max(1, round(scale[1] * length))
        starts = [
            start
            for start in range(length - len(span) + 1)
            if torch.equal(whole[start : start + len(span)], span)
        ]
        assert len(starts) == 1


@given(st.integers(1, 40), st.floats(0.01, 1), SEEDS)
def test_of_whole_clips_one_share_leaves_nothing_to_mask(frames, share, seed):
    result = TimeCrop((share, share))(View(mels([frames] * 3, frames).values), seeded(seed))
    assert result.valid is None
    assert result.values.shape == (3, 1, max(1, round(share * frames)), 6)


def test_of_whole_clips_several_shares_are_masked():
    result = TimeCrop((0.5, 1.0))(View(mels([20] * 8, 20).values), seeded(0))
    assert result.values.shape[2] == 20
    assert len(set(result.valid.sum(1).tolist())) > 3


def test_lengths_and_places_are_uniform():
    ramp = torch.arange(10.0).view(1, 1, 10, 1).expand(20000, -1, -1, -1)
    halves = TimeCrop((0.5, 0.5))(View(ramp), seeded(0))
    count = halves.values[:, 0, 0, 0].long().bincount(minlength=6)
    assert len(count) == 6
    assert (count - 20000 / 6).abs().max() < 5 * (20000 / 6) ** 0.5
    sizes = TimeCrop((0.05, 0.95))(View(ramp), seeded(0)).valid.sum(1).bincount(minlength=10)
    assert sizes[0] == 0
    assert (sizes[1:10] - 20000 / 9).abs().max() < 5 * (20000 / 9) ** 0.5


@pytest.mark.parametrize("scale", [(0.0, 0.5), (0.6, 0.5), (0.5, 1.1)])
def test_a_scale_out_of_range_is_refused(scale):
    with pytest.raises(ValueError, match="scale must be"):
        TimeCrop(scale)
