"""Many encoded pictures into one array, where a broken one is an error or is left out."""

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from trivium.data.config import image_shape, plain_option
from trivium.data.datasets.decode import decode
from trivium.data.errors import DataError


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
