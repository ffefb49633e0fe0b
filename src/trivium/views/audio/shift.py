"""Moving clips by whole frames, bands or samples."""

from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from typing_extensions import override

from trivium.data.spectrogram import SILENCE
from trivium.types import Column, View
from trivium.views.audio.lengths import lengths, places, within
from trivium.views.audio.recipe import AudioOp
from trivium.views.draw import uniform


class Shift(AudioOp):
    """Move a clip in time and in pitch; silence moves in, and what moves out is lost.

    Both by uniform whole numbers, independently: of frames up to a share of the clip's own
    length (rounded) and of bands, either way. The length of the clip stays.

    Args:
        time: Largest shift as a share of the clip, in [0, 1).
        frequency: Largest shift in bands.

    Raises:
        ValueError: a number is out of its range.
    """

    takes: ClassVar[Column] = "mel"
    gives: ClassVar[Column] = "mel"

    def __init__(self, time: float, frequency: int = 0) -> None:
        super().__init__()
        self.time = _share(time)
        if frequency < 0:
            raise ValueError(f"frequency must be a number of bands, 0 or more, got {frequency}")
        self.frequency = frequency

    @override
    def forward(self, view: View, generator: torch.Generator | None = None) -> View:
        """Shift log-mel spectrograms."""
        values, length = view.values, lengths(view)
        draws = uniform((2, len(values)), 0.0, 1.0, generator).to(values.device)
        bands = torch.arange(values.shape[3], device=values.device)
        later, higher = _whole(draws[0], self.time * length), _whole(draws[1], self.frequency)
        frame, band = places(view) - later[:, None], bands - higher[:, None]
        seen = within(frame, length) & within(places(view), length)
        heard = within(band, torch.full_like(length, len(bands)))
        clip = torch.arange(len(values), device=values.device)[:, None, None]
        rows, columns = frame.clamp(0, values.shape[2] - 1), band.clamp(0, len(bands) - 1)
        moved = values[clip, 0, rows[:, :, None], columns[:, None, :]]
        kept = seen[:, :, None] & heard[:, None, :]
        return View(moved.masked_fill(~kept, SILENCE).unsqueeze(1), view.valid)


class WaveShift(AudioOp):
    """Move a wave in time by a uniform whole number of samples; zeros move in.

    Args:
        time: Largest shift either way as a share of the clip's own length, in [0, 1).

    Raises:
        ValueError: `time` is no such share.
    """

    takes: ClassVar[Column] = "wave"
    gives: ClassVar[Column] = "wave"

    def __init__(self, time: float) -> None:
        super().__init__()
        self.time = _share(time)

    @override
    def forward(self, view: View, generator: torch.Generator | None = None) -> View:
        """Shift waves."""
        values, length = view.values, lengths(view)
        draw = uniform((len(values),), 0.0, 1.0, generator).to(values.device)
        sample = places(view) - _whole(draw, self.time * length)[:, None]
        moved = values.gather(1, sample.clamp(0, values.shape[1] - 1))
        kept = within(sample, length) & within(places(view), length)
        return View(moved.masked_fill(~kept, 0.0), view.valid)


def _whole(draw: Float[Tensor, " batch"], most: Tensor | float) -> Int64[Tensor, " batch"]:
    """A whole number in [-most, most], uniform as `draw` is in [0, 1)."""
    most = torch.as_tensor(most, device=draw.device).round().long()
    return (draw.double() * (2 * most + 1)).floor().long() - most


def _share(time: float) -> float:
    if not 0.0 <= time < 1.0:
        raise ValueError(f"time is a share of the clip and must lie in [0, 1), got {time}")
    return time
