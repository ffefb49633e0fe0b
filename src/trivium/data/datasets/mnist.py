"""MNIST: 70,000 grey pictures of handwritten digits, 28 x 28, with the official test split."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trivium.data.datasets import hub
from trivium.data.datasets.idx import read_idx
from trivium.data.datasets.layout import locate
from trivium.data.errors import DataError
from trivium.data.writer import Parsed

CLASSES = tuple("0123456789")


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:
    """Read the four official idx files, or the hub's parquet files.

    Raises:
        DataError: a file is missing or no idx file, or pictures and labels differ in number.
    """
    if any(folder.rglob("*.parquet")):
        return hub.parse(folder, config, scratch)
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
