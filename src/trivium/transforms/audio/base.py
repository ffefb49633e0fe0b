"""What every transform of audio is, and how long the clips of a batch are."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from trivium.types import Column, View


def positions(view: View) -> Int64[Tensor, " position"]:
    """Indices of the frames of spectrograms, or of the samples of waves."""
    values = view.values
    return torch.arange(values.shape[2 if values.ndim == 4 else 1], device=values.device)


def lengths(view: View) -> Int64[Tensor, " batch"]:
    """Frames or samples of each clip."""
    if view.valid is None:
        num = len(positions(view))
        return torch.full((len(view.values),), num, device=view.values.device)
    return view.valid.sum(1)


def silenced(view: View, silence: float) -> View:
    """The view with silence behind the end of each clip."""
    if view.valid is None:
        return view
    valid = view.valid[:, None, :, None] if view.values.ndim == 4 else view.valid
    return View(view.values.masked_fill(~valid, silence), view.valid)


def clip_means(view: View) -> Float[Tensor, "batch 1 1 1"]:
    """Mean over each clip's own frames and all bands of log-mel spectrograms.

    In double precision, so that padding cannot change the rounding.
    """
    values: Tensor = silenced(view, 0.0).values
    total = values.sum((1, 2, 3), keepdim=True, dtype=torch.float64)
    count = lengths(view).clamp(min=1).view(-1, 1, 1, 1) * values.shape[3]
    return (total / count).float()


def within(
    index: Int64[Tensor, "*batch position"], lengths: Int64[Tensor, " batch"]
) -> Bool[Tensor, "batch position"]:
    """Which indices lie in a clip: from 0 to its length, exclusive."""
    return (index >= 0) & (index < lengths.unsqueeze(1))


class AudioOp(nn.Module, ABC):
    """An augmentation of a batch of clips, with random parameters of its own for each.

    It works on log-mel spectrograms [batch, 1, frame, band] or on waves [batch, sample], in
    float32. `View.valid` is True where a clip has frames or samples (they come first), or None.
    What lies behind a clip's end is silence and never has an influence. Sizes of the result follow
    from the sizes of the input, not from what was drawn.
    """

    takes: ClassVar[Column]
    """Log-mel spectrograms (`mel`) or waves (`wave`)."""
    gives: ClassVar[Column]
    """The same of the result."""

    @abstractmethod
    def forward(self, view: View, generator: torch.Generator | None = None) -> View:
        """Draw parameters and augment; the values of `view` stay as they are."""


class MelOp(AudioOp, ABC):
    """An augmentation of log-mel spectrograms."""

    takes: ClassVar[Column] = "mel"
    gives: ClassVar[Column] = "mel"


class WaveOp(AudioOp, ABC):
    """An augmentation of waves."""

    takes: ClassVar[Column] = "wave"
    gives: ClassVar[Column] = "wave"
