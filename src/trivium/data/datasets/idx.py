"""The idx format of MNIST's authors: a big-endian header, then unsigned bytes."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from trivium.data.errors import DataError

UNSIGNED_BYTE = 8
MAX_BYTES = 1 << 30


def read_idx(path: Path, num_axes: int) -> np.ndarray:
    """A uint8 array of `num_axes` axes; the file may be gzipped.

    Raises:
        DataError: the file is no idx file of unsigned bytes, or its length is not its header's.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            content = stream.read(MAX_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error})") from error
    start = 4 + 4 * num_axes
    if len(content) < start or content[:4] != bytes([0, 0, UNSIGNED_BYTE, num_axes]):
        raise DataError(f"{path} is no idx file of unsigned bytes with {num_axes} axes")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", num_axes, offset=4))
    if len(content) - start != math.prod(shape):
        raise DataError(f"{path}: {len(content) - start} values where the header says {shape}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
