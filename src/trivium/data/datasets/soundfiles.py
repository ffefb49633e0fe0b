"""Sounds from outside: decoded within bounds, brought to one rate and one channel."""

import io
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int16, Int64

from trivium.data.errors import DataError
from trivium.data.progress import track

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"}
MAX_SAMPLES = 400_000_000
"""Sounds of more samples, over all channels, are refused before they are decoded."""
FULL = 2**15
"""The int16 value that stands for an amplitude of one."""


class Clips(NamedTuple):
    """Sounds one after another, and where each begins (and the end of the last).

    `good` is False where a sound could not be read: one sample of silence stands in its place,
    to be left out of every split.
    """

    flat: Int16[np.ndarray, " sample"]
    offsets: Int64[np.ndarray, " bound"]
    good: Bool[np.ndarray, " clip"]


def read_sound(
    source: Path | bytes, rate: int, name: str | None = None
) -> Int16[np.ndarray, " sample"]:
    """Decode one sound (wav, flac, ogg, mp3): channels averaged, resampled, clipped, rounded.

    Args:
        source: A file, or the encoded bytes.
        rate: Samples per second of the result (`torchaudio.functional.resample`).
        name: What to call it in messages; by default the file.

    Returns:
        At least one sample; 2^15 stands for an amplitude of one.

    Raises:
        DataError: broken, empty, of no known format, too long, or with values that are no
            numbers; the message names it.
    """
    import soundfile
    from torchaudio.functional import resample

    named = name or (str(source) if isinstance(source, Path) else "a sound")
    try:
        with soundfile.SoundFile(io.BytesIO(source) if isinstance(source, bytes) else source) as f:
            own_rate = f.samplerate
            if f.frames * f.channels > MAX_SAMPLES:
                raise DataError(f"{named}: {f.frames} x {f.channels} samples are too many: cut it")
            wave = f.read(dtype="float32", always_2d=True).mean(axis=1)
    except DataError:
        raise
    except Exception as error:  # soundfile raises many kinds on broken input
        raise DataError(
            f"{named} is no readable sound ({type(error).__name__}: {error})"
        ) from error
    if not len(wave):
        raise DataError(f"{named} holds no samples: remove it")
    if not np.isfinite(wave).all():
        raise DataError(f"{named} holds values that are no numbers: remove it")
    if own_rate != rate:
        wave = resample(torch.from_numpy(wave), own_rate, rate).numpy()
    return to_int16(wave)


def to_int16(wave: np.ndarray) -> Int16[np.ndarray, " sample"]:
    """Amplitudes in [-1, 1] as 16-bit integers: clipped, and rounded to the nearest."""
    steps: np.ndarray = np.clip(np.rint(wave * FULL), -FULL, FULL - 1)
    return steps.astype(np.int16)


def decode_all(
    sources: Iterable[tuple[str, Path | bytes]],
    rate: int,
    scratch: Path,
    on_error: str = "raise",
    total: int | None = None,
) -> Clips:
    """Decode named sounds, behind a progress bar, into a file in `scratch`.

    Args:
        sources: (name for messages, file or bytes).
        rate: Samples per second.
        scratch: Folder for the file, which may be larger than the memory.
        on_error: `raise`, or `skip` to leave out what cannot be read, with a warning.
        total: How many there are, for the bar.

    Raises:
        DataError: a broken sound, with `on_error: raise`; or all are broken.
    """
    broken: list[str] = []
    good: list[bool] = []

    def waves() -> Iterator[np.ndarray]:
        for name, source in track(sources, "decoding sounds", total):
            try:
                wave = read_sound(source, rate, name)
            except DataError as error:
                if on_error != "skip":
                    raise DataError(f"{error}; remove it, or set on_error: skip") from error
                broken.append(str(error))
                good.append(False)
                yield np.zeros(1, np.int16)
            else:
                good.append(True)
                yield wave

    flat, offsets = write_flat(waves(), scratch)
    if not any(good):
        raise DataError(f"none of {len(good)} sounds could be read; the first: {broken[:1]}")
    if broken:
        warnings.warn(f"{len(broken)} sounds left out; the first: {broken[0]}", stacklevel=2)
    return Clips(flat, offsets, np.array(good))


def write_flat(
    waves: Iterable[Int16[np.ndarray, " sample"]], scratch: Path
) -> tuple[Int16[np.ndarray, " sample"], Int64[np.ndarray, " bound"]]:
    """Waves one after another in a file of `scratch`, as a memory map, and where each begins."""
    path, bounds = scratch / "wave.int16", [0]
    with path.open("wb") as file:
        for wave in waves:
            file.write(wave.tobytes())
            bounds.append(bounds[-1] + len(wave))
    flat = np.memmap(path, np.int16, "r") if bounds[-1] else np.zeros(0, np.int16)
    return flat, np.array(bounds, np.int64)
