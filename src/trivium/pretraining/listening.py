"""Rows of clips for the ear: what an objective made of audio, one MP3 file per row."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from trivium.data.spectrogram import SILENCE, SoundSettings, to_waves
from trivium.pretraining.drawing import spread
from trivium.tracking.writer import RunWriter

log = logging.getLogger(__name__)

NUM_CLIPS = 4
"""Clips that one file holds of an objective's row."""
PAUSE_SECONDS = 0.25
"""Silence between two clips of a file."""
LONGEST_SECONDS = 4.0
"""What is kept of a clip at most."""
SHORTEST_SECONDS = 0.1
"""What is left of a clip of silence."""
LOUD, QUIET = 0.9, 0.3
"""A first row whose peak lies between them is left as loud as it is; any other one peaks at 0.9."""
INAUDIBLE = 1e-3
"""60 dB below full scale."""
ITERATIONS = 16
"""Of Griffin-Lim: all rows of a look are to cost tenths of a second."""
LOUDEST_LOG_MEL = 16.0
"""Above the log-mel of any wave in [-1, 1] whose window has fewer than 4096 samples."""
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


def keep_sounds(
    rows: Mapping[str, Float[np.ndarray, "clip sample"]],
    rate: int,
    step: int,
    folder: Path,
    writer: RunWriter | None,
) -> None:
    """Write each row of waves as `{row}-step{step}.mp3`, to the folder and to the tracker.

    The clips of a row, of each four seconds at most, follow one another with a quarter of a second
    between them; silence behind a clip is left out. All rows are scaled by one factor (see
    `levelled`).

    Args:
        rows: waves by name, in [-1, 1] or louder; the first is what others are compared with.
        rate: samples per second.
        step: the step that they show.
        folder: an existing folder.
        writer: where the files also go, under `sounds/`; none if None.
    """
    import soundfile

    if "MP3" not in soundfile.available_formats():
        log.warning("no sounds are kept: this libsndfile cannot write MP3 (version 1.1 can)")
        return
    for name, waves in levelled(rows).items():
        content, written_rate = resampled(joined(waves, rate), rate)
        path = folder / f"{re.sub(r'[^A-Za-z0-9]+', '-', name)}-step{step:06d}.mp3"
        soundfile.write(path, content, written_rate, format="MP3")
        if writer is not None:
            writer.log_file(path, "sounds")


def waves_of(row: np.ndarray, settings: SoundSettings) -> Float[np.ndarray, "clip sample"]:
    """Some clips of an objective's row as waves: evenly from its first column to its last.

    Args:
        row: log-mel [column, 1, frame, band], which `to_waves` inverts, or waves [column, sample].
        settings: how the log-mel was made.
    """
    chosen: np.ndarray = row[spread(len(row), NUM_CLIPS)]
    if chosen.ndim == 2:
        return chosen
    frames = settings.frames(int(LONGEST_SECONDS * settings.rate))
    log_mel = np.clip(chosen[:, 0, :frames], SILENCE, LOUDEST_LOG_MEL)
    waves: np.ndarray = to_waves(torch.from_numpy(log_mel), settings, iterations=ITERATIONS).numpy()
    return waves


def levelled(
    rows: Mapping[str, Float[np.ndarray, "clip sample"]],
) -> dict[str, Float[np.ndarray, "clip sample"]]:
    """Rows scaled by one factor, so that they stay comparable, at a loudness that can be heard.

    The factor is 1 where the first row peaks between 0.3 and 0.9, and brings it to 0.9 elsewhere.
    A row that would be louder than that (a network that has learnt nothing may shout) is turned
    down to it alone.
    """
    peaks = {name: float(np.abs(waves).max(initial=0.0)) for name, waves in rows.items()}
    first = next(iter(peaks.values()))
    factor = 1.0 if QUIET <= first <= LOUD or first < INAUDIBLE else LOUD / first
    factors = {name: min(factor, LOUD / max(peak, 1e-12)) for name, peak in peaks.items()}
    return {name: (waves * factors[name]).astype(np.float32) for name, waves in rows.items()}


def joined(waves: Float[np.ndarray, "clip sample"], rate: int) -> Float[np.ndarray, " joined"]:
    """Clips one after another, without the silence behind each, and with a pause between two."""
    pause = np.zeros(round(PAUSE_SECONDS * rate), np.float32)
    parts = []
    for wave in waves:
        kept = wave[: round(LONGEST_SECONDS * rate)]
        heard = np.flatnonzero(np.abs(kept) > INAUDIBLE)
        end = max(int(heard[-1]) + 1 if len(heard) else 0, round(SHORTEST_SECONDS * rate))
        parts += [kept[:end], pause]
    return np.concatenate(parts[:-1])


def resampled(
    wave: Float[np.ndarray, " sample"], rate: int
) -> tuple[Float[np.ndarray, " resampled"], int]:
    """A wave at a rate that MP3 files may have: its own, or the next above it, 48 kHz at most."""
    if rate in MP3_RATES:
        return wave, rate
    from torchaudio.functional import resample

    allowed = min((one for one in MP3_RATES if one > rate), default=MP3_RATES[-1])
    return resample(torch.from_numpy(wave), rate, allowed).numpy(), allowed
