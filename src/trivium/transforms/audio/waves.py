"""Transforms of loudness: gain, white noise, mixing of clips; lengths of clips in a batch."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from trivium.data.spectrogram import SILENCE
from trivium.transforms.audio.base import MelOp, WaveOp, lengths, silenced
from trivium.transforms.base import check_interval, check_probability, draw_seed, uniform
from trivium.types import View


class Gain(MelOp):
    """Add a uniform gain in `decibels` to log-mel spectrograms: dB * ln(10) / 10 to each value.

    Silence stays silence, and nothing becomes quieter.

    Raises:
        ValueError: `decibels` is no range.
    """

    def __init__(self, decibels: Sequence[float] = (-6.0, 6.0)) -> None:
        super().__init__()
        self.decibels = _finite(decibels)

    @override
    def forward(self, view: View, generator: torch.Generator | None = None) -> View:
        """Change the loudness of log-mel spectrograms."""
        gain = _drawn(view, self.decibels, generator) * (math.log(10) / 10)
        louder = (view.values + gain.view(-1, 1, 1, 1)).clamp(min=SILENCE)
        return View(louder.masked_fill(view.values <= SILENCE, SILENCE), view.valid)


class WaveGain(WaveOp):
    """Multiply waves by a uniform gain in `decibels`, 10^(dB / 20), and clip them to [-1, 1].

    Raises:
        ValueError: `decibels` is no range.
    """

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


AT_ONCE = 4096
"""Samples that are drawn together: what is drawn of a clip does not depend on its padding."""


class Noise(WaveOp):
    """Add white Gaussian noise at a uniform signal-to-noise ratio `snr` in decibels (`add_noise`).

    The ratio is that of the energies over the clip's own samples; digital silence gets no noise.
    The sum is clipped to [-1, 1].

    Raises:
        ValueError: `snr` is no range.
    """

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


class LogMixup(MelOp):
    r"""BYOL-A's log-mixup-exp: another clip in the background (2103.06695, part III).

    $\tilde x = \log((1 - \lambda) \exp(x) + \lambda \exp(x_k))$ with $\lambda$ uniform in [0,
    `alpha`). The clip keeps its own length; the other's end is silence. Departures: $x_k$ is a
    uniform other clip of the same batch (theirs comes from a memory), and the powers are those of
    the mel bands (theirs are of standardised log-mel). A batch of one clip stays as it is.

    Raises:
        ValueError: `alpha` is outside [0, 1].
    """

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
