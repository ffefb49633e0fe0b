"""SpecAugment: hiding spans of time and of frequency."""

from typing import ClassVar

import torch
from jaxtyping import Bool, Int64
from torch import Tensor
from typing_extensions import override

from trivium.types import Column, View
from trivium.views.audio.lengths import clip_means, lengths, places, within
from trivium.views.audio.recipe import AudioOp
from trivium.views.audio.seed import draw_seed
from trivium.views.draw import check_probability

RULER = 1000
"""Parts into which a clip is divided, in time and in frequency, to say where its masks lie."""


class SpecAugment(AudioOp):
    """Hide random spans of frames and of bands (SpecAugment, 1904.08779, section 2; no warping).

    Widths are uniform from 0 to the largest, places uniform: torchaudio's `mask_along_axis_iid`,
    drawn for each clip. Its masks are drawn on a ruler of 1000 parts that spans each clip, so that
    widths are shares of the clip's own length (and of the bands), not numbers of frames; a frame
    or band is hidden if its middle is. What is hidden becomes the clip's mean, as in the paper,
    whose inputs have a mean of zero.

    Args:
        num_time: Masks in time.
        time_width: Largest width of each as a share of the clip, in [0, 1].
        num_frequency: Masks in frequency.
        frequency_width: Largest width of each as a share of the bands, in [0, 1].

    Raises:
        ValueError: a number is out of its range.
    """

    takes: ClassVar[Column] = "mel"
    gives: ClassVar[Column] = "mel"

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
        frames = time.gather(1, _marks(places(view), length)) & within(places(view), length)
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
    places: Int64[Tensor, " place"], lengths: Int64[Tensor, " batch"]
) -> Int64[Tensor, "batch place"]:
    """The part of the ruler in which the middle of each place lies; the last behind the end."""
    marks = (2 * places + 1) * RULER // (2 * lengths.clamp(min=1).unsqueeze(1))
    return marks.clamp(max=RULER - 1)
