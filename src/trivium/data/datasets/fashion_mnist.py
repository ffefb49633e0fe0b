"""Fashion-MNIST (1708.07747): 70,000 grey pictures of clothes, 28 x 28, ten kinds."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trivium.data.datasets import files
from trivium.data.errors import DataError
from trivium.data.paths import locate
from trivium.data.progress import track
from trivium.data.writer import Parsed

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
NUM_TEST = 1000
INFERRED = (
    "The package has no test split: the first 1000 pictures of each class are taken as test, "
    "inferred from the seams and means of its files."
)


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:
    """Read the npm package (one JSON file per class) or the hub's parquet files.

    The npm package lists 7000 pictures per class without naming a split. That the first 1000
    are the official test set is *inferred*: class 0 has an empty row right after them (and one
    at its end), dropped here, and the means on both sides of the seam differ as the official
    splits do. The store's notes repeat this.

    Raises:
        DataError: files are missing or a class does not hold more than 1000 pictures.
    """
    if any(folder.rglob("*.parquet")):
        return files.parse(folder, {"columns": {}, **config}, scratch)
    first = locate(folder, "0.json")
    groups = [
        _read(first.with_name(f"{kind}.json"))
        for kind in track(range(len(CLASSES)), "reading Fashion-MNIST", len(CLASSES))
    ]
    sizes = [len(group) for group in groups]
    labels = np.repeat(np.arange(len(CLASSES)), sizes)
    within = np.concatenate([np.arange(size) for size in sizes])
    return Parsed(
        columns={"image": np.concatenate(groups)},
        labels={"label": labels},
        tasks={"label": CLASSES},
        train=np.flatnonzero(within >= NUM_TEST),
        test=np.flatnonzero(within < NUM_TEST),
        notes=(INFERRED,),
    )


def _read(path: Path) -> np.ndarray:
    try:
        rows = json.loads(path.read_bytes())["data"]
        pixels = np.array([row for row in rows if len(row) == 28 * 28], dtype=np.uint8)
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise DataError(f"{path}: expected rows of 784 pixels under `data` ({error})") from error
    if len(pixels) <= NUM_TEST:
        raise DataError(f"{path}: {len(pixels)} pictures; expected more than {NUM_TEST}")
    return pixels.reshape(-1, 1, 28, 28)
