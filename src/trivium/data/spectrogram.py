"""Log-mel spectrograms: of a batch of waves, and of a whole dataset once."""

import math
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float16, Int16, Int64
from torch import Tensor, nn

from trivium.data.progress import track

SILENCE = -11.515625
"""The log-mel value of silence: also what stands behind the end of a clip.

ln 1e-5, as the nearest number that half precision holds.
"""
SMALLEST = math.exp(SILENCE)
"""Mel power below which there is silence."""


class SoundSettings(NamedTuple):
    """How waves become log-mel spectrograms.

    `rate`: samples per second; `window` and `hop`: samples of a frame and between frames;
    `bands`: mel bands between `low` and `high` Hz.
    """

    rate: int
    window: int
    hop: int
    bands: int
    low: float
    high: float

    def problem(self) -> str:
        """What is impossible about them; empty if nothing is."""
        if min(self[:4]) < 1:
            return "rate, window, hop and bands must be positive whole numbers"
        if not 0 <= self.low < self.high <= self.rate / 2:
            return f"low and high must be 0 <= low < high <= rate / 2, got {self.low}, {self.high}"
        if self.hop >= self.window:  # Hann windows are zero where they would join
            return f"a hop of {self.hop} leaves samples out between windows of {self.window}"
        return ""

    def frames(self, num_samples: int) -> int:
        """Frames of a clip: one per hop, one at least."""
        return max(1, num_samples // self.hop)


def settings_of(sound: tuple[float, ...]) -> SoundSettings:
    """The settings that a `DataSpec` or a store's meta carries as plain numbers."""
    rate, window, hop, bands, low, high = sound
    return SoundSettings(int(rate), int(window), int(hop), int(bands), float(low), float(high))


class LogMel(nn.Module):
    """Natural logarithm of mel power (torchaudio's `MelSpectrogram`), silence at least.

    Hann windows centred at multiples of the hop, power 2, bands of the HTK mel scale without
    area normalisation (torchaudio's defaults). Zeros stand before and behind a clip, so that what
    a clip is padded with in a batch changes none of its frames; and the frame that would be
    centred at or behind its last whole hop is left out: a clip of n samples has n // hop frames,
    one at least.
    """

    def __init__(self, settings: SoundSettings) -> None:
        super().__init__()
        from torchaudio.transforms import MelSpectrogram

        self.settings = settings
        self.mel = MelSpectrogram(
            settings.rate,
            n_fft=settings.window,
            hop_length=settings.hop,
            n_mels=settings.bands,
            f_min=settings.low,
            f_max=settings.high,
            pad_mode="constant",
        )

    @torch.no_grad()
    def forward(self, waves: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame band"]:
        """Log-mel of waves in [-1, 1], in float32."""
        with torch.autocast(waves.device.type, enabled=False):
            power: Tensor = self.mel(waves.float())
        frames = self.settings.frames(waves.shape[1])
        return power.clamp(min=SMALLEST).log().transpose(1, 2)[:, :frames]


@torch.no_grad()
def to_waves(
    log_mel: Float[Tensor, "batch frame band"], settings: SoundSettings, *, iterations: int = 32
) -> Float[Tensor, "batch sample"]:
    """Waves that sound like log-mel spectrograms, a hop of samples for each frame.

    The power of each frequency is the one without negative parts whose mel bands fit best by the
    generalised Kullback-Leibler divergence (multiplicative updates of Lee and Seung, "Algorithms
    for Non-negative Matrix Factorization", NIPS 13, 2001, theorem 2); the phases are torchaudio's
    `GriffinLim` (Griffin and Lim 1984; fast variant of Perraudin et al. 2013), from zero phases, so
    that it is repeatable. What the log-mel does not hold (fine pitch, phases) is lost, so compare
    with the inverse of the original's log-mel.
    """
    from torchaudio.transforms import GriffinLim

    frames = log_mel.shape[1]
    # Griffin-Lim gives a hop less than there are frames, and reflects half a window at each end.
    missing = max(1, settings.window // (2 * settings.hop) + 2 - frames)
    longer = torch.cat([log_mel, log_mel[:, -1:].expand(-1, missing, -1)], dim=1)
    invert = GriffinLim(
        settings.window, n_iter=iterations, hop_length=settings.hop, rand_init=False
    ).to(log_mel.device)
    waves: Tensor = invert(_linear_power(longer, settings).transpose(1, 2))
    return waves[:, : frames * settings.hop]


def _linear_power(
    log_mel: Float[Tensor, "batch frame band"], settings: SoundSettings, *, updates: int = 30
) -> Float[Tensor, "batch frame frequency"]:
    """Power of each frequency that explains mel power.

    torchaudio's `InverseMelScale` is not used: its least squares go below zero, and cut off at
    zero they lift the silence between the partials of a tone by several nats.
    """
    from torchaudio.functional import melscale_fbanks

    filters = melscale_fbanks(
        settings.window // 2 + 1, settings.low, settings.high, settings.bands, settings.rate
    ).to(log_mel.device)
    mel = (log_mel.float().exp() - SMALLEST).clamp(min=0)
    power: Tensor = mel @ (filters / filters.sum(0).clamp(min=1e-12)).T
    reach = filters.sum(1).clamp(min=1e-12)
    for _ in range(updates):
        power = power * (mel / (power @ filters).clamp(min=1e-12) @ filters.T) / reach
    return power


AT_ONCE = 2**22
"""Samples that are transformed together at most, padding included."""


def log_mels(
    flat: Int16[np.ndarray, " sample"],
    offsets: Int64[np.ndarray, " bound"],
    settings: SoundSettings,
    scratch: Path | None = None,
) -> tuple[Float16[np.ndarray, "frame band"], Int64[np.ndarray, " bound"]]:
    """The log-mel of every clip in half precision, one after another, and where each begins.

    Clips of like length are transformed together; the result lies in a file that vanishes with
    it, so that a dataset may be larger than the memory. The file is in the folder `scratch`, by
    default in the system's for temporary files, which some systems keep in memory.
    """
    lengths = np.diff(offsets)
    frames = np.maximum(1, lengths // settings.hop)
    starts = np.concatenate([[0], np.cumsum(frames)]).astype(np.int64)
    with tempfile.NamedTemporaryFile(dir=scratch) as file:
        mel = np.memmap(file, np.float16, "w+", shape=(int(starts[-1]), settings.bands))
    transform = LogMel(settings)
    for part in track(_parts(lengths), "log-mel"):
        waves = torch.zeros(len(part), int(lengths[part].max()))
        for row, clip in enumerate(part):
            wave = np.asarray(flat[offsets[clip] : offsets[clip + 1]])
            waves[row, : len(wave)] = torch.from_numpy(wave.astype(np.float32) / 2**15)
        for row, clip in enumerate(transform(waves).numpy()):
            place = part[row]
            mel[starts[place] : starts[place + 1]] = clip[: frames[place]]
    return mel, starts


def frame_statistics(
    mel: Float16[np.ndarray, "frame band"],
    offsets: Int64[np.ndarray, " bound"],
    indices: Int64[np.ndarray, " index"],
    *,
    limit: int,
) -> tuple[float, float]:
    """Mean and standard deviation over frames and bands of some clips, to four decimals.

    Of each clip the first `limit` frames count: those that an encoder is shown. Summed clip by
    clip in double precision.
    """
    total, squares, count = 0.0, 0.0, 0
    for clip in indices:
        values = np.asarray(mel[offsets[clip] : min(offsets[clip + 1], offsets[clip] + limit)])
        values = values.astype(np.float64)
        total, squares, count = (
            total + float(values.sum()),
            squares + float((values**2).sum()),
            count + values.size,
        )
    mean = total / count
    return round(mean, 4), round(max(squares / count - mean**2, 1e-8) ** 0.5, 4)


def _parts(lengths: Int64[np.ndarray, " clip"]) -> list[np.ndarray]:
    """Clips in groups of like length."""
    order, parts, first = np.argsort(lengths, kind="stable"), [], 0
    for last in range(1, len(order) + 1):
        full = last == len(order) or (last + 1 - first) * lengths[order[last]] > AT_ONCE
        if full:
            parts.append(order[first:last])
            first = last
    return parts
