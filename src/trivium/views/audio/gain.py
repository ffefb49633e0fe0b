"""Making clips louder or softer."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from trivium.data.spectrogram import SILENCE
from trivium.types import Column, View
from trivium.views.audio.recipe import AudioOp
from trivium.views.draw import check_interval, uniform


class Gain(AudioOp):
    """Add a uniform gain to log-mel spectrograms: dB * ln(10) / 10 to each value.

    Silence stays silence, as zeros of a wave do, and nothing becomes quieter.

    Args:
        decibels: Smallest and largest gain.

    Raises:
        ValueError: `decibels` is no range.
    """

    takes: ClassVar[Column] = "mel"
    gives: ClassVar[Column] = "mel"

    def __init__(self, decibels: Sequence[float] = (-6.0, 6.0)) -> None:
        super().__init__()
        self.decibels = _finite(decibels)

    @override
    def forward(self, view: View, generator: torch.Generator | None = None) -> View:
        """Change the loudness of log-mel spectrograms."""
        gain = _drawn(view, self.decibels, generator) * (math.log(10) / 10)
        louder = (view.values + gain.view(-1, 1, 1, 1)).clamp(min=SILENCE)
        return View(louder.masked_fill(view.values <= SILENCE, SILENCE), view.valid)


class WaveGain(AudioOp):
    """Multiply waves by a uniform gain in decibels, 10^(dB / 20), and clip them to [-1, 1].

    Args:
        decibels: Smallest and largest gain.

    Raises:
        ValueError: `decibels` is no range.
    """

    takes: ClassVar[Column] = "wave"
    gives: ClassVar[Column] = "wave"

    def __init__(self, decibels: Sequence[float] = (-6.0, 6.0)) -> None:
        super().__init__()
        self.decibels = _finite(decibels)

    @override
    def forward(self, view: View, generator: torch.Generator | None = None) -> View:
        """Change the loudness of waves."""
        factor = 10 ** (_drawn(view, self.decibels, generator) / 20)
        return View((view.values * factor.unsqueeze(1)).clamp(-1.0, 1.0), view.valid)


def _drawn(
    view: View, decibels: tuple[float, float], generator: torch.Generator | None
) -> Float[Tensor, " batch"]:
    return uniform((len(view.values),), *decibels, generator).to(view.values.device)


def _finite(decibels: Sequence[float]) -> tuple[float, float]:
    return check_interval("decibels", decibels, -200.0, 200.0)
