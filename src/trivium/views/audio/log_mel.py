"""From waves to log-mel spectrograms, after augmentations of the waves."""

from typing import ClassVar

import torch
from typing_extensions import override

from trivium.data.spectrogram import SILENCE, LogMel, SoundSettings
from trivium.types import Column, View
from trivium.views.audio.lengths import lengths, silenced, within
from trivium.views.audio.recipe import AudioOp


class LogMelOp(AudioOp):
    """Log-mel spectrograms of waves, as a store makes them (`trivium.data.spectrogram.LogMel`).

    A clip of n samples has n // hop frames, one at least.

    Args:
        rate: Samples per second.
        window: Samples of a frame.
        hop: Samples between frames.
        bands: Mel bands.
        low: Hz at which the lowest band begins.
        high: Hz at which the highest band ends.

    Raises:
        ValueError: the settings are impossible.
    """

    takes: ClassVar[Column] = "wave"
    gives: ClassVar[Column] = "mel"

    def __init__(
        self, *, rate: int, window: int, hop: int, bands: int, low: float, high: float
    ) -> None:
        super().__init__()
        settings = SoundSettings(rate, window, hop, bands, low, high)
        if problem := settings.problem():
            raise ValueError(f"log-mel spectrograms: {problem}")
        self.transform = LogMel(settings)

    @override
    def forward(self, view: View, generator: torch.Generator | None = None) -> View:
        """Transform waves; nothing is drawn."""
        values = self.transform(view.values).unsqueeze(1)
        if view.valid is None:
            return View(values)
        frames = (lengths(view) // self.transform.settings.hop).clamp(min=1)
        numbers = torch.arange(values.shape[2], device=values.device)
        return silenced(View(values, within(numbers, frames)), SILENCE)
