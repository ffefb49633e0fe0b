"""Mixing clips with each other."""

from typing import ClassVar

import torch
from typing_extensions import override

from trivium.data.spectrogram import SILENCE
from trivium.types import Column, View
from trivium.views.audio.lengths import silenced
from trivium.views.audio.recipe import AudioOp
from trivium.views.draw import check_probability, uniform


class LogMixup(AudioOp):
    r"""BYOL-A's log-mixup-exp: another clip in the background (2103.06695, part III).

    $\tilde x = \log((1 - \lambda) \exp(x) + \lambda \exp(x_k))$ with $\lambda$ uniform in
    [0, `alpha`): powers add. The clip keeps its own length; the other's end is silence.

    Departures: $x_k$ is a uniform other clip of the same batch, never itself (theirs comes from a
    memory of 2048 past inputs), and the powers are those of the mel bands (theirs are of
    standardised log-mel). A batch of one clip stays as it is.

    Args:
        alpha: Largest share of the other clip, in [0, 1].

    Raises:
        ValueError: `alpha` is no such share.
    """

    takes: ClassVar[Column] = "mel"
    gives: ClassVar[Column] = "mel"

    def __init__(self, alpha: float = 0.4) -> None:
        super().__init__()
        self.alpha = check_probability("alpha", alpha)

    @override
    def forward(self, view: View, generator: torch.Generator | None = None) -> View:
        """Mix log-mel spectrograms."""
        batch = len(view.values)
        draws = uniform((2, batch), 0.0, 1.0, generator).to(view.values.device)
        share = (self.alpha * draws[0]).view(-1, 1, 1, 1)
        further = 1 + (draws[1].double() * (batch - 1)).floor().long()
        other = (torch.arange(batch, device=further.device) + further) % max(1, batch)
        background = silenced(view, SILENCE).values[other]
        mixed = torch.logaddexp(view.values + (-share).log1p(), background + share.log())
        return silenced(View(mixed.clamp(min=SILENCE), view.valid), SILENCE)
