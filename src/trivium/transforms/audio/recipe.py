"""Views of audio: transforms one after another, and which views an objective receives."""

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from typing_extensions import override

from trivium.data.spectrogram import SILENCE, LogMel, SoundSettings
from trivium.transforms.audio.base import AudioOp, lengths, silenced, within
from trivium.transforms.base import ViewList
from trivium.types import Column, View

FULL_SCALE = 2**15
"""What an int16 sample is divided by, so that waves lie in [-1, 1)."""


class AudioPipeline(nn.Module):
    """Operations one after another: one view of a batch of clips.

    Args:
        ops: Operations in order; none leaves the clips as they are.
        column: What the store hands out: log-mel spectrograms (`mel`) or waves (`wave`).

    Raises:
        ValueError: an operation does not take what the one before it gives.
    """

    def __init__(self, ops: Sequence[AudioOp], *, column: Column = "mel") -> None:
        super().__init__()
        form, giver = column, "the store"
        for op in ops:
            if op.takes != form:
                raise ValueError(
                    f"{type(op).__name__} takes {op.takes}, but {giver} gives {form}: reorder the "
                    "operations, set `column`, or put LogMelOp between waves and spectrograms"
                )
            form, giver = op.gives, type(op).__name__
        self.ops = nn.ModuleList(ops)
        self.column: Column = column
        self.gives: Column = form

    @torch.no_grad()
    def forward(
        self,
        values: Shaped[Tensor, "batch ..."],
        generator: torch.Generator | None = None,
        valid: Bool[Tensor, "batch position"] | None = None,
    ) -> View:
        """Make one view of a batch.

        `values` are log-mel [batch, 1, frame, band] in any precision, or waves [batch, sample] as
        int16 or as floats in [-1, 1]; `valid` is True where a clip has frames or samples.

        Raises:
            ValueError: the values are not of the pipeline's column.
        """
        view = View(self._floats(values), valid)
        for op in cast(Sequence[AudioOp], self.ops):
            view = op(view, generator)
        return view

    def _floats(self, values: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        if values.ndim == (4 if self.column == "mel" else 2):
            if values.is_floating_point():
                return values.to(torch.float32)
            if self.column == "wave" and values.dtype == torch.int16:
                return values.to(torch.float32) / FULL_SCALE
        expected = {
            "mel": "floating log-mel spectrograms [batch, 1, frame, band]",
            "wave": "int16 or floating waves [batch, sample]",
        }
        raise ValueError(
            f"the views read the column {self.column!r}: expected {expected[self.column]}, got "
            f"{values.dtype} of shape {tuple(values.shape)}"
        )


class AudioViews(ViewList):
    """Views of clips.

    Raises:
        ValueError: There is no view, or the views do not all read, or do not all give, the same
            of log-mel spectrograms and waves.
    """

    def __init__(self, views: Sequence[AudioPipeline]) -> None:
        super().__init__(views)
        self.column = _same("read", [view.column for view in views])
        self.gives = _same("give", [view.gives for view in views])

    def forward(
        self,
        values: Shaped[Tensor, "batch ..."],
        generator: torch.Generator | None = None,
        valid: Bool[Tensor, "batch position"] | None = None,
    ) -> tuple[View, ...]:
        """Make every view of a batch, in order; without `valid` all of every clip counts."""
        return tuple(view(values, generator, valid) for view in self.views)


def _same(verb: str, columns: Sequence[Column]) -> Column:
    if len(set(columns)) > 1:
        raise ValueError(f"all views must {verb} the same column, got {', '.join(columns)}")
    return columns[0]


class LogMelOp(AudioOp):
    """Log-mel spectrograms of waves, as a store makes them (`trivium.data.spectrogram.LogMel`).

    A clip of n samples has n // hop frames, one at least. Arguments as of `SoundSettings`.

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
