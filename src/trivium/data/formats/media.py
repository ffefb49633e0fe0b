"""Encoded pictures and sounds from outside, decoded within bounds and brought to one shape."""

import io
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int16, Int64, UInt8
from numpy.lib.format import open_memmap
from PIL import Image, ImageOps

from trivium.data.errors import DataError
from trivium.data.progress import track

MAX_PIXELS = 64_000_000
"""Larger pictures are refused before they are decoded (a decompression bomb)."""
MAX_SAMPLES = 400_000_000
"""Sounds of more samples, over all channels, are refused before they are decoded."""
FULL = 2**15
"""The int16 value that stands for an amplitude of one."""
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
SOUNDS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3")
"""Suffixes of files."""
Sources = Iterable[tuple[str, Path | bytes]]
"""What is to be decoded: a name for messages, and a file or the encoded bytes."""


class Clips(NamedTuple):
    """Sounds one after another, and where each begins (and the end of the last).

    `good` is False where a sound could not be read: one sample of silence stands in its place,
    to be left out of every split.
    """

    flat: Int16[np.ndarray, " sample"]
    offsets: Int64[np.ndarray, " bound"]
    good: Bool[np.ndarray, " clip"]


def decode_picture(
    source: Path | bytes,
    shape: tuple[int, ...],
    name: str,
    frame: Literal["crop", "pad"] = "crop",
) -> UInt8[np.ndarray, "channel height width"]:
    """Decode one picture: shorter side resized (bicubic, antialiased), then cropped centrally.

    Args:
        source: A file, or the encoded bytes.
        shape: (channel, height, width) with 1 (grey) or 3 (RGB) channels; transparency lies on
            white, and the camera's orientation is applied.
        name: What to call it in messages.
        frame: `pad` resizes the longer side instead and shows the whole picture on white.

    Raises:
        DataError: broken, of no known format or too large; the message names the picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the bound below replaces Pillow's own warning
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(f"{name}: {image.width} x {image.height} pixels are too many")
                return _fit(image, shape, frame)
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds on broken input
        raise DataError(
            f"{name} is no readable picture ({type(error).__name__}: {error})"
        ) from error


def decode_sound(source: Path | bytes, rate: int, name: str) -> Int16[np.ndarray, " sample"]:
    """Decode one sound (wav, flac, ogg, mp3): channels averaged, resampled, clipped, rounded.

    Args:
        source: A file, or the encoded bytes.
        rate: Samples per second of the result (`torchaudio.functional.resample`).
        name: What to call it in messages.

    Returns:
        At least one sample; 2^15 stands for an amplitude of one.

    Raises:
        DataError: broken, empty, of no known format, too long, or with values that are no
            numbers; the message names it.
    """
    import soundfile
    from torchaudio.functional import resample

    try:
        with soundfile.SoundFile(io.BytesIO(source) if isinstance(source, bytes) else source) as f:
            own_rate = f.samplerate
            if f.frames * f.channels > MAX_SAMPLES:
                raise DataError(f"{name}: {f.frames} x {f.channels} samples are too many: cut it")
            wave = f.read(dtype="float32", always_2d=True).mean(axis=1)
    except DataError:
        raise
    except Exception as error:  # soundfile raises many kinds on broken input
        raise DataError(f"{name} is no readable sound ({type(error).__name__}: {error})") from error
    if not len(wave):
        raise DataError(f"{name} holds no samples: remove it")
    if not np.isfinite(wave).all():
        raise DataError(f"{name} holds values that are no numbers: remove it")
    if own_rate != rate:
        wave = resample(torch.from_numpy(wave), own_rate, rate).numpy()
    return to_int16(wave)


def decode_pictures(
    sources: Sources,
    total: int,
    shape: tuple[int, ...],
    scratch: Path,
    on_error: str = "raise",
    read: Callable[[Path | bytes, tuple[int, ...], str], np.ndarray] = decode_picture,
) -> tuple[np.ndarray, np.ndarray]:
    """Decode named pictures, behind a progress bar, into a memory map in `scratch`.

    Args:
        sources: (name for messages, file or bytes).
        total: How many there are at most.
        shape: (channel, height, width) of each.
        scratch: Folder for the memory map.
        on_error: `raise`, or `skip` to leave out what cannot be read, with a warning.
        read: What decodes one of them, given the shape and the name.

    Returns:
        uint8 [total, channel, height, width] and bool [total]: False where one was left out.

    Raises:
        DataError: a broken picture, with `on_error: raise`; or all are broken.
    """
    array = open_memmap(scratch / "image.npy", "w+", np.uint8, (total, *shape))
    good = np.zeros(total, bool)
    pictures = _decoded(
        sources, lambda source, name: read(source, shape, name), "pictures", on_error, total
    )
    for position, pixels in enumerate(pictures):
        if pixels is not None:
            array[position], good[position] = pixels, True
    return array, good


def decode_sounds(
    sources: Sources, total: int, rate: int, scratch: Path, on_error: str = "raise"
) -> Clips:
    """Decode named sounds, behind a progress bar, into a file in `scratch`.

    Args:
        sources: (name for messages, file or bytes).
        total: How many there are at most, for the bar.
        rate: Samples per second.
        scratch: Folder for the file, which may be larger than the memory.
        on_error: `raise`, or `skip` to leave out what cannot be read, with a warning.

    Raises:
        DataError: a broken sound, with `on_error: raise`; or all are broken.
    """
    good: list[bool] = []

    def waves() -> Iterator[np.ndarray]:
        sounds = _decoded(
            sources,
            lambda source, name: decode_sound(source, rate, name),
            "sounds",
            on_error,
            total,
        )
        for wave in sounds:
            good.append(wave is not None)
            yield np.zeros(1, np.int16) if wave is None else wave

    return Clips(*write_flat(waves(), scratch), np.array(good))


def to_int16(wave: np.ndarray) -> Int16[np.ndarray, " sample"]:
    """Amplitudes in [-1, 1] as 16-bit integers: clipped, and rounded to the nearest."""
    steps: np.ndarray = np.clip(np.rint(wave * FULL), -FULL, FULL - 1)
    return steps.astype(np.int16)


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


def _decoded(
    sources: Sources,
    read: Callable[[Path | bytes, str], np.ndarray],
    what: str,
    on_error: str,
    total: int,
) -> Iterator[np.ndarray | None]:
    """Each source decoded; None where it is broken, if that is allowed."""
    broken: list[str] = []
    count = 0
    for name, source in track(sources, f"decoding {what}", total):
        count += 1
        try:
            yield read(source, name)
        except DataError as error:
            if on_error != "skip":
                raise DataError(f"{error}; remove it, or set on_error: skip") from error
            broken.append(str(error))
            yield None
    if len(broken) == count:
        raise DataError(f"none of {count} {what} could be read; the first: {broken[:1]}")
    if broken:
        warnings.warn(f"{len(broken)} {what} left out; the first: {broken[0]}", stacklevel=2)


def _fit(image: Image.Image, shape: tuple[int, ...], frame: str) -> np.ndarray:
    channels, height, width = shape
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        upright = Image.new("RGBA", layer.size, "white")
        upright.alpha_composite(layer)
    elif upright.mode.startswith("I;16"):
        upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
    upright = upright.convert("L" if channels == 1 else "RGB")
    if upright.size != (width, height):
        if frame == "pad":
            upright = ImageOps.pad(
                upright, (width, height), Image.Resampling.BICUBIC, color="white"
            )
        else:
            upright = ImageOps.fit(upright, (width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(upright, dtype=np.uint8)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
