"""Log-mel spectrograms of a whole dataset, computed once."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float16, Int16, Int64

from trivium.data.progress import track
from trivium.data.spectrogram import LogMel, SoundSettings

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
