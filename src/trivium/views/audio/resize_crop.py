"""Crops of log-mel spectrograms, resized to the size of the clip."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from trivium.data.spectrogram import SILENCE
from trivium.types import Column, View
from trivium.views.audio.lengths import clip_means, lengths, places, silenced
from trivium.views.audio.recipe import AudioOp
from trivium.views.draw import check_interval, uniform

SHARPNESS = -0.75
"""The parameter a of the cubic kernel."""


class ResizeCrop(AudioOp):
    """BYOL-A's random resize crop: shifts and stretches in time and pitch (2103.06695, part III).

    A box of floor(share * size) frames and bands is cut out of a virtual area that is
    floor(`virtual_time` * frames) long, as high as the clip, and has the clip in its middle; then
    it is resized (bicubic) to the clip's own size. Shares are uniform, places uniform whole
    numbers, a box is never larger than the area. All this counts in the clip's own frames.

    Departures: around the clip lies its own mean (theirs is zero, the mean of their standardised
    data), and where the box cuts through the clip, the interpolation at its border sees the true
    neighbours. Nothing becomes quieter than silence. Reference: github.com/nttcslab/byol-a.

    Args:
        time: Smallest and largest share of the frames, above 0.
        frequency: Smallest and largest share of the bands, above 0; above 1 is the whole height.
        virtual_time: Length of the virtual area over that of the clip, 1 at least.

    Raises:
        ValueError: a number is out of its range.
    """

    takes: ClassVar[Column] = "mel"
    gives: ClassVar[Column] = "mel"

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
        rows = _positions(places(view), left, width, length)
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

    With a = -0.75 as in torch's `interpolate` and `grid_sample` (Keys 1981, doi
    10.1109/TASSP.1981.1163711, Eq. 4); sources beyond either end are zeros. Two matrix products
    with these are the whole resize, several times faster on CPUs than a sampled grid.
    """
    distance = (positions.unsqueeze(-1) - torch.arange(size, device=positions.device)).abs()
    near = ((SHARPNESS + 2) * distance - (SHARPNESS + 3)) * distance * distance + 1
    far = SHARPNESS * (((distance - 5) * distance + 8) * distance - 4)
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))
