"""White noise."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from trivium.types import Column, View
from trivium.views.audio.lengths import lengths, silenced
from trivium.views.audio.recipe import AudioOp
from trivium.views.audio.seed import draw_seed
from trivium.views.draw import check_interval, uniform

AT_ONCE = 4096
"""Samples that are drawn together: what is drawn of a clip does not depend on its padding."""


class Noise(AudioOp):
    """Add white Gaussian noise at a uniform signal-to-noise ratio in decibels (`add_noise`).

    The ratio is that of the energies over the clip's own samples; digital silence gets no noise.
    The sum is clipped to [-1, 1].

    Args:
        snr: Smallest and largest ratio in decibels.

    Raises:
        ValueError: `snr` is no range.
    """

    takes: ClassVar[Column] = "wave"
    gives: ClassVar[Column] = "wave"

    def __init__(self, snr: Sequence[float]) -> None:
        super().__init__()
        self.snr = check_interval("snr", snr, -200.0, 200.0)

    @override
    def forward(self, view: View, generator: torch.Generator | None = None) -> View:
        """Add noise to waves."""
        from torchaudio.functional import add_noise

        batch, samples = view.values.shape
        device = view.values.device
        snr = uniform((batch,), *self.snr, generator).to(device)
        noise = white_noise(batch, samples, generator).to(device)
        noisy = add_noise(view.values, noise, snr, lengths(view)).clamp(-1.0, 1.0)
        return silenced(View(noisy, view.valid), 0.0)


def white_noise(
    batch: int, samples: int, generator: torch.Generator | None
) -> Float[Tensor, "batch sample"]:
    """Standard normal numbers on the generator's device; shorter noise is a part of longer."""
    device = torch.device("cpu") if generator is None else generator.device
    source = torch.Generator(device).manual_seed(draw_seed(generator))
    parts = [
        torch.randn(batch, AT_ONCE, generator=source, device=device)
        for _ in range(-(-samples // AT_ONCE))
    ]
    return torch.cat(parts, dim=1)[:, :samples]
