"""Batches of clips for the tests of audio's views, and what every operation must keep."""

import torch
from hypothesis import strategies as st
from torch.nn import functional as F

from trivium.data.spectrogram import SILENCE
from trivium.types import View

BANDS = 6
MOST = 24
LENGTHS = st.lists(st.integers(1, MOST), min_size=1, max_size=5)
SEEDS = st.integers(0, 2**31)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def places_of(num, lengths):
    return torch.arange(num) < torch.tensor(lengths)[:, None]


def mels(lengths, frames=MOST, seed=0, bands=BANDS):
    """Log-mel clips of so many frames, silence behind them."""
    values = 2 * torch.randn(len(lengths), 1, frames, bands, generator=seeded(seed)) - 4
    valid = places_of(frames, lengths)
    values = values.clamp(min=SILENCE + 0.1).masked_fill(~valid[:, None, :, None], SILENCE)
    return View(values, valid)


def waves(lengths, samples=MOST, seed=0):
    """Waves of so many samples, zeros behind them."""
    valid = places_of(samples, lengths)
    values = 0.1 * torch.randn(len(lengths), samples, generator=seeded(seed))
    return View(values.masked_fill(~valid, 0.0), valid)


def padded(view, more):
    """The same clips in a longer batch."""
    if view.values.ndim == 4:
        values = F.pad(view.values, (0, 0, 0, more), value=SILENCE)
    else:
        values = F.pad(view.values, (0, more))
    return View(values, F.pad(view.valid, (0, more)))


def own(view, clip):
    """The valid part of one clip."""
    values = view.values[clip, 0] if view.values.ndim == 4 else view.values[clip]
    return values if view.valid is None else values[view.valid[clip]]


def check_an_operation(op, view, seed, *, more=7, tolerance=0.0):
    """What holds for every operation.

    One seed gives one result, which leaves its input and the global source alone; valid places
    come first, and behind them is silence; padding and whether lengths are told (`valid`) or not
    change nothing, neither of a clip nor of what is drawn after it.
    """
    before, state = view.values.clone(), torch.get_rng_state()
    source, longer = seeded(seed), seeded(seed)
    result, again = op(view, source), op(view, seeded(seed))
    assert torch.equal(result.values, again.values)
    assert torch.equal(view.values, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert result.values.dtype == torch.float32

    mel = result.values.ndim == 4
    assert result.valid.shape == (len(view.values), result.values.shape[2 if mel else 1])
    assert torch.equal(result.valid, result.valid.sort(1, descending=True).values)
    behind = result.values[:, 0][~result.valid] if mel else result.values[~result.valid]
    assert (behind == (torch.tensor(SILENCE) if mel else 0.0)).all()
    if mel:
        assert result.values.min() >= torch.tensor(SILENCE)
    else:
        assert result.values.abs().max() <= 1

    further = op(padded(view, more), longer)
    for clip in range(len(view.values)):
        torch.testing.assert_close(own(further, clip), own(result, clip), atol=tolerance, rtol=0)
    assert torch.equal(source.get_state(), longer.get_state())

    length = int(view.valid[0].sum())
    whole = view.values[:1].narrow(2 if view.values.ndim == 4 else 1, 0, length)
    told = View(whole, torch.ones(1, length, dtype=torch.bool))
    assert torch.equal(own(op(View(whole), seeded(seed)), 0), own(op(told, seeded(seed)), 0))
    return result
