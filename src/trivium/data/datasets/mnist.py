"""MNIST: 70,000 grey pictures of handwritten digits, 28 x 28, with the official test split."""

import gzip
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trivium.data.datasets import files
from trivium.data.errors import DataError
from trivium.data.paths import locate
from trivium.data.writer import Parsed

CLASSES = tuple("0123456789")
UNSIGNED_BYTE = 8
"""The type of values in the header of an idx file."""
MAX_BYTES = 1 << 30


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:
    """Read the four official idx files, or the hub's parquet files.

    Raises:
        DataError: a file is missing or no idx file, or pictures and labels differ in number.
    """
    if any(folder.rglob("*.parquet")):
        return files.parse(folder, {"columns": {}, **config}, scratch)
    images, labels = {}, {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images[split] = read_idx(locate(folder, f"{prefix}-images-idx3-ubyte*"), num_axes=3)
        labels[split] = read_idx(locate(folder, f"{prefix}-labels-idx1-ubyte*"), num_axes=1)
        if len(images[split]) != len(labels[split]):
            found = f"{len(images[split])} pictures and {len(labels[split])} labels"
            raise DataError(f"{folder}: {split} has {found}")
    num_train, num_test = len(images["train"]), len(images["test"])
    return Parsed(
        columns={"image": np.concatenate([images["train"], images["test"]])[:, None]},
        labels={"label": np.concatenate([labels["train"], labels["test"]]).astype(np.int64)},
        tasks={"label": CLASSES},
        train=np.arange(num_train),
        test=np.arange(num_train, num_train + num_test),
    )


def read_idx(path: Path, num_axes: int) -> np.ndarray:
    """A uint8 array of `num_axes` axes out of the authors' idx format; the file may be gzipped.

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
