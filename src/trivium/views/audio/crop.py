"""Keeping one span of a clip."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from typing_extensions import override

from trivium.data.spectrogram import SILENCE
from trivium.types import Column, View
from trivium.views.audio.lengths import lengths, places, silenced, within
from trivium.views.audio.recipe import AudioOp
from trivium.views.draw import check_interval, uniform


class TimeCrop(AudioOp):
    """Keep one random span of consecutive frames, moved to the front (COLA, 2010.10915, section 2).

    Two crops of one clip are a positive pair there; COLA's are of one length, 0.96 s. Here the
    length is a uniform share in `scale` of the clip's own frames, rounded, one at least; the
    place is uniform. Batches become round(high * frames) frames long. `valid` is None only if it
    was before and all lengths are the same (`low` equals `high`).

    Args:
        scale: Smallest and largest share, in (0, 1].

    Raises:
        ValueError: `scale` is no such range.
    """

    takes: ClassVar[Column] = "mel"
    gives: ClassVar[Column] = "mel"

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
        taken = places(view)[:longest]
        index = (start[:, None] + taken).clamp(max=frames - 1)
        values = view.values.gather(2, index[:, None, :, None].expand(-1, 1, -1, bands))
        if view.valid is None and low == high:
            return View(values)
        return silenced(View(values, within(taken, size)), SILENCE)
