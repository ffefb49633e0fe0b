"""Transforms of time and frequency: spans, resized crops, shifts, SpecAugment."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from typing_extensions import override

from trivium.data.spectrogram import SILENCE
from trivium.transforms.audio.base import (
    MelOp,
    WaveOp,
    clip_means,
    lengths,
    positions,
    silenced,
    within,
)
from trivium.transforms.base import check_interval, check_probability, draw_seed, uniform
from trivium.types import View


class TimeCrop(MelOp):
    """Keep one random span of consecutive frames, moved to the front (COLA, 2010.10915, section 2).

    Its length is a uniform share in `scale` of the clip's own frames, rounded, one at least; its
    start is uniform. Batches become round(high * frames) frames long. `valid` is None only if it
    was before and `low` equals `high`.

    Raises:
        ValueError: `scale` is no range in (0, 1].
    """

    def __init__(self, scale: Sequence[float]) -> None:
        super().__init__()
        self.scale = check_interval("scale", scale, 1e-6, 1.0)

    @override
    def forward(self, view: View, generator: torch.Generator | None = None) -> View:
        """Crop log-mel spectrograms."""
        (low, high), (batch, _, frames, bands) = self.scale, view.values.shape
        # In double precision, as Python rounds the longest length.
        draws = uniform((2, batch), 0.0, 1.0, generator).to(view.values.device).double()
        length, longest = lengths(view), max(1, round(high * frames))
        share = low + draws[0] * (high - low)
        size = (share * length).round().clamp(min=1, max=longest).long().minimum(length)
        start = (draws[1] * (length - size + 1)).floor().long()
        taken = positions(view)[:longest]
        index = (start[:, None] + taken).clamp(max=frames - 1)
        values = view.values.gather(2, index[:, None, :, None].expand(-1, 1, -1, bands))
        if view.valid is None and low == high:
            return View(values)
        return silenced(View(values, within(taken, size)), SILENCE)


SHARPNESS = -0.75
"""The parameter a of the cubic kernel."""


class ResizeCrop(MelOp):
    """BYOL-A's random resize crop: shifts and stretches in time and pitch (2103.06695, part III).

    A box of floor(share * size) frames and bands is cut out of a virtual area that is
    floor(`virtual_time` * frames) long, as high as the clip, with the clip in its middle; then it
    is resized (bicubic) to the clip's own size. Departures from github.com/nttcslab/byol-a: around
    the clip lies its own mean (theirs is zero), and the interpolation at the border of the box sees
    the true neighbours. Nothing becomes quieter than silence.

    Args:
        time: Smallest and largest share of the frames, above 0.
        frequency: Smallest and largest share of the bands, above 0; above 1 is the whole height.
        virtual_time: Length of the virtual area over that of the clip, 1 at least.

    Raises:
        ValueError: A number is out of its range.
    """

    def __init__(
        self,
        time: Sequence[float] = (0.6, 1.5),
        frequency: Sequence[float] = (0.6, 1.5),
        virtual_time: float = 1.5,
    ) -> None:
        super().__init__()
        self.time = check_interval("time", time, 1e-6, float("inf"))
        self.frequency = check_interval("frequency", frequency, 1e-6, float("inf"))
        if not 1.0 <= virtual_time < float("inf"):
            raise ValueError(f"virtual_time must be finite and at least 1, got {virtual_time}")
        self.virtual_time = virtual_time

    @override
    def forward(self, view: View, generator: torch.Generator | None = None) -> View:
        """Crop and resize log-mel spectrograms."""
        batch, _, frames, bands = view.values.shape
        draws = uniform((4, batch), 0.0, 1.0, generator).to(view.values.device).double()
        time, frequency = (
            low + draw * (high - low)
            for draw, (low, high) in zip(draws, (self.time, self.frequency), strict=False)
        )
        length = lengths(view).double()
        area = (self.virtual_time * length).floor()
        width = (time * length).floor().clamp(min=1).minimum(area)
        height = (frequency.clamp(max=1.0) * bands).floor().clamp(min=1)
        left = (draws[2] * (area - width + 1)).floor() - ((area - length) / 2).floor()
        lowest = (draws[3] * (bands - height + 1)).floor()
        rows = _positions(positions(view), left, width, length)
        columns = _positions(
            torch.arange(bands, device=rows.device), lowest, height, torch.full_like(height, bands)
        )
        mean = clip_means(view)
        centred = silenced(View(view.values - mean, view.valid), 0.0).values
        along_time = _weights(rows.float(), frames)
        along_bands = _weights(columns.float(), bands).transpose(1, 2)
        resized = (along_time @ centred.squeeze(1) @ along_bands).unsqueeze(1) + mean
        return silenced(View(resized.clamp(min=SILENCE), view.valid), SILENCE)


def _positions(
    steps: Tensor,
    start: Float[Tensor, " batch"],
    extent: Float[Tensor, " batch"],
    size: Float[Tensor, " batch"],
) -> Float[Tensor, "batch step"]:
    """Where each of `size` steps falls: the first and the last on the ends of the extent."""
    pace = (extent - 1) / (size - 1).clamp(min=1)
    return start[:, None] + steps * pace[:, None]


def _weights(
    positions: Float[Tensor, "batch step"], size: int
) -> Float[Tensor, "batch step source"]:
    """How much of each of `size` sources lies at each position: the cubic convolution of Keys.

    As torch's `interpolate` (Keys 1981, doi 10.1109/TASSP.1981.1163711, Eq. 4); sources beyond
    either end are zeros. Two matrix products with these are the whole resize.
    """
    distance = (positions.unsqueeze(-1) - torch.arange(size, device=positions.device)).abs()
    near = ((SHARPNESS + 2) * distance - (SHARPNESS + 3)) * distance * distance + 1
    far = SHARPNESS * (((distance - 5) * distance + 8) * distance - 4)
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))


class Shift(MelOp):
    """Move a clip in time and in pitch by uniform whole numbers; silence moves in.

    Args:
        time: Largest shift as a share of the clip's own length, in [0, 1).
        frequency: Largest shift in bands.

    Raises:
        ValueError: A number is out of its range.
    """

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
        frame, band = positions(view) - later[:, None], bands - higher[:, None]
        seen = within(frame, length) & within(positions(view), length)
        inside = within(band, torch.full_like(length, len(bands)))
        clip = torch.arange(len(values), device=values.device)[:, None, None]
        rows, columns = frame.clamp(0, values.shape[2] - 1), band.clamp(0, len(bands) - 1)
        moved = values[clip, 0, rows[:, :, None], columns[:, None, :]]
        kept = seen[:, :, None] & inside[:, None, :]
        return View(moved.masked_fill(~kept, SILENCE).unsqueeze(1), view.valid)


class WaveShift(WaveOp):
    """Move a wave in time by a uniform whole number of samples; zeros move in.

    `time` is the largest shift as a share of the clip's own length.

    Raises:
        ValueError: `time` is outside [0, 1).
    """

    def __init__(self, time: float) -> None:
        super().__init__()
        self.time = _share(time)

    @override
    def forward(self, view: View, generator: torch.Generator | None = None) -> View:
        """Shift waves."""
        values, length = view.values, lengths(view)
        draw = uniform((len(values),), 0.0, 1.0, generator).to(values.device)
        sample = positions(view) - _whole(draw, self.time * length)[:, None]
        moved = values.gather(1, sample.clamp(0, values.shape[1] - 1))
        kept = within(sample, length) & within(positions(view), length)
        return View(moved.masked_fill(~kept, 0.0), view.valid)


def _whole(draw: Float[Tensor, " batch"], most: Tensor | float) -> Int64[Tensor, " batch"]:
    """A whole number in [-most, most], uniform as `draw` is in [0, 1)."""
    most = torch.as_tensor(most, device=draw.device).round().long()
    return (draw.double() * (2 * most + 1)).floor().long() - most


def _share(time: float) -> float:
    if not 0.0 <= time < 1.0:
        raise ValueError(f"time is a share of the clip and must lie in [0, 1), got {time}")
    return time


RULER = 1000
"""Parts into which a clip is divided, in time and in frequency, to say where its masks lie."""


class SpecAugment(MelOp):
    """Mask random spans of frames and of bands (SpecAugment, 1904.08779, section 2; no warping).

    Widths are uniform from 0 to the largest, places uniform: torchaudio's `mask_along_axis_iid` for
    each clip, drawn on a ruler of 1000 parts that spans it, so that widths are shares of the clip's
    own length (and of the bands). What is masked becomes the clip's mean.

    Args:
        num_time: Masks in time.
        time_width: Largest width of each as a share of the clip, in [0, 1].
        num_frequency: Masks in frequency.
        frequency_width: Largest width of each as a share of the bands, in [0, 1].

    Raises:
        ValueError: A number is out of its range.
    """

    def __init__(
        self, *, num_time: int, time_width: float, num_frequency: int, frequency_width: float
    ) -> None:
        super().__init__()
        if min(num_time, num_frequency) < 0:
            raise ValueError(
                "num_time and num_frequency must be 0 or more masks, got "
                f"{num_time} and {num_frequency}"
            )
        self.num_time, self.num_frequency = num_time, num_frequency
        self.time_width = check_probability("time_width", time_width)
        self.frequency_width = check_probability("frequency_width", frequency_width)

    @override
    def forward(self, view: View, generator: torch.Generator | None = None) -> View:
        """Hide parts of log-mel spectrograms."""
        batch, _, _, bands = view.values.shape
        device, length = view.values.device, lengths(view)
        seed = draw_seed(generator)
        # torchaudio draws from the global source, which nobody else shall notice.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            time = _masked_rulers(batch, self.num_time, self.time_width).to(device)
            frequency = _masked_rulers(batch, self.num_frequency, self.frequency_width).to(device)
        frames = time.gather(1, _marks(positions(view), length)) & within(positions(view), length)
        every_band = torch.full_like(length, bands)
        columns = frequency.gather(1, _marks(torch.arange(bands, device=device), every_band))
        hidden = frames[:, None, :, None] | columns[:, None, None, :]
        if view.valid is not None:
            hidden = hidden & view.valid[:, None, :, None]
        return View(torch.where(hidden, clip_means(view), view.values), view.valid)


def _masked_rulers(batch: int, num_masks: int, width: float) -> Bool[Tensor, "batch mark"]:
    """True where one of the masks lies."""
    from torchaudio.functional import mask_along_axis_iid

    rulers = torch.zeros(batch, 1, RULER)
    for _ in range(num_masks):
        rulers = mask_along_axis_iid(rulers, round(width * RULER), 1.0, axis=2)
    return rulers[:, 0] > 0


def _marks(
    index: Int64[Tensor, " position"], lengths: Int64[Tensor, " batch"]
) -> Int64[Tensor, "batch position"]:
    """The part of the ruler in which the middle of each position lies; the last behind the end."""
    marks = (2 * index + 1) * RULER // (2 * lengths.clamp(min=1).unsqueeze(1))
    return marks.clamp(max=RULER - 1)
