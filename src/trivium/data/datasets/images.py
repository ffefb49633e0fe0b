"""Encoded pictures into one array: decoded within bounds, brought to one shape."""

import io
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from numpy.lib.format import open_memmap
from PIL import Image, ImageOps

from trivium.data.config import image_shape, plain_option
from trivium.data.errors import DataError

MAX_PIXELS = 64_000_000
"""Larger pictures are refused before they are decoded (a decompression bomb)."""


def decode(
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


def decode_all(
    pictures: Iterable[tuple[str, Path | bytes]],
    total: int,
    config: dict[str, object],
    scratch: Path,
    read: Callable[[Path | bytes, tuple[int, ...], str], np.ndarray] = decode,
) -> tuple[np.ndarray, np.ndarray]:
    """Decode named pictures into a memory map on disk.

    Args:
        pictures: (name for messages, file or bytes).
        total: How many there are at most.
        config: Read for `spec.shape` and `on_error` (`raise` or `skip`).
        scratch: Folder for the memory map.
        read: What decodes one of them, given the shape and the name.

    Returns:
        uint8 [total, channel, height, width] and bool [total]: False where one was left out.

    Raises:
        DataError: a broken picture, with `on_error: raise`; or all are broken.
    """
    shape = image_shape(config)
    skip = plain_option(config, "on_error", ("raise", "skip")) == "skip"
    array = open_memmap(scratch / "image.npy", "w+", np.uint8, (total, *shape))
    good = np.zeros(total, bool)
    broken: list[str] = []
    for position, (name, picture) in enumerate(pictures):
        try:
            array[position] = read(picture, shape, name)
            good[position] = True
        except DataError as error:
            if not skip:
                raise DataError(f"{error}; remove it, or set on_error: skip") from error
            broken.append(str(error))
    if not good.any():
        raise DataError(f"none of {total} pictures could be read; the first: {broken[:1]}")
    if broken:
        warnings.warn(f"{len(broken)} pictures left out; the first: {broken[0]}", stacklevel=2)
    return array, good
