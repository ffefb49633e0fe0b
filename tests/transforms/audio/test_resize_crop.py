import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from transforms.audio.clips import LENGTHS, SEEDS, check_an_operation, mels, own, seeded
from trivium.data.spectrogram import SILENCE
from trivium.transforms.audio.spans import ResizeCrop
from trivium.types import View

SHARES = st.tuples(st.floats(0.1, 2), st.floats(0.1, 2)).map(sorted)


@given(LENGTHS, SHARES, SHARES, st.floats(1, 2), SEEDS)
def test_clips_keep_their_sizes(lengths, time, frequency, virtual, seed):
    view = mels(lengths)
    result = check_an_operation(ResizeCrop(time, frequency, virtual), view, seed, tolerance=2e-4)
    assert result.values.shape == view.values.shape
    assert torch.equal(result.valid, view.valid)


@given(LENGTHS, SEEDS)
def test_the_whole_clip_is_the_clip(lengths, seed):
    view = mels(lengths)
    result = ResizeCrop((1, 1), (1, 1.5), 1)(view, seeded(seed))
    torch.testing.assert_close(result.values, view.values, atol=1e-4, rtol=0)


def smooth(frames, bands, batch=1):
    """A surface without jumps: of it the neighbours of a crop hardly matter."""
    rows, columns = torch.meshgrid(torch.arange(frames), torch.arange(bands), indexing="ij")
    return (torch.sin(rows / 9) + torch.cos(columns / 7) - 3).expand(batch, 1, -1, -1)


def test_a_crop_is_bicubic_resizing_of_a_box_in_the_virtual_area():
    frames, bands = 40, 32
    values = mels([frames] * 64, frames, bands=bands).values
    result = ResizeCrop((0.6, 1.5), (0.6, 1.5), 1.5)(View(values), seeded(3)).values
    draws = torch.rand(4, 64, generator=seeded(3)).double()
    for clip in range(64):
        mean = values[clip].mean()
        area = F.pad(values[clip], (0, 0, 10, 10), value=float(mean))  # 60 frames
        width = int((0.6 + 0.9 * draws[0, clip]) * frames)
        height = int(min(0.6 + 0.9 * draws[1, clip], 1) * bands)
        left, low = int(draws[2, clip] * (61 - width)), int(draws[3, clip] * (33 - height))
        box = area[:, left : left + width, low : low + height]
        size = (frames, bands)
        expected = F.interpolate(box[None], size, mode="bicubic", align_corners=True)[0]
        # Two pixels from the box's border, the reference sees all that we see.
        rows = torch.arange(frames) * (width - 1) / (frames - 1)
        columns = torch.arange(bands) * (height - 1) / (bands - 1)
        rows = (rows >= 1) & (rows <= width - 3)
        columns = (columns >= 1) & (columns <= height - 3)
        inner = (rows[:, None] & columns).expand_as(result[clip])
        assert inner.sum() > 0.6 * inner.numel()
        expected = expected.clamp(min=SILENCE)
        torch.testing.assert_close(result[clip][inner], expected[inner], atol=2e-3, rtol=0)


def test_around_the_clip_lies_its_mean():
    view = mels([16, 8], 16)
    result = ResizeCrop((2, 2), (1, 1), 2)(view, seeded(0))
    for clip, length in enumerate([16, 8]):
        mean = own(view, clip).mean()
        outer = own(result, clip)
        edges = torch.cat([outer[: length // 8], outer[-(length // 8) :]])
        torch.testing.assert_close(edges, mean.expand_as(edges), atol=1e-4, rtol=0)
        assert (outer[length // 2 - 1] - mean).abs().max() > 0.5


def test_a_box_is_never_larger_than_the_area():
    view = mels([16, 8], 16)
    result = ResizeCrop((3, 3), (2, 2), 1)(view, seeded(0))
    torch.testing.assert_close(result.values, view.values, atol=1e-4, rtol=0)


def test_nothing_becomes_quieter_than_silence():
    values = torch.full((8, 1, 20, 12), SILENCE)
    values[:, :, ::5, ::3] = 2.0  # the interpolation overshoots
    result = ResizeCrop()(View(values), seeded(0)).values
    assert (result == torch.tensor(SILENCE)).any()
    assert result.min() >= torch.tensor(SILENCE)


def test_time_and_pitch_move_either_way():
    peak = smooth(40, 30, 500).clone() * 0 - 8
    peak[:, :, 20, 15] = 0
    result = ResizeCrop()(View(peak), seeded(0)).values[:, 0]
    frame, band = result.amax(2).argmax(1), result.amax(1).argmax(1)
    assert (frame < 15).any()
    assert (frame > 25).any()
    assert (band < 12).any()
    assert (band > 18).any()


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"time": (0.0, 1.0)}, "time"),
        ({"frequency": (1.5, 0.6)}, "frequency"),
        ({"virtual_time": 0.9}, "virtual_time"),
    ],
)
def test_settings_out_of_range_are_refused(settings, name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        ResizeCrop(**settings)
