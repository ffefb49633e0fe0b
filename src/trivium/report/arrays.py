"""The arrays of a probe folder: what was predicted of each test item, and some features."""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer


class Prediction(NamedTuple):
    """Which fitted probe predicted: its name, label fraction and label draw."""

    probe: str
    fraction: float
    draw: int


class Arrays(NamedTuple):
    """The content of `predictions.npz`."""

    predictions: dict[Prediction, Integer[np.ndarray, " item"]]
    labels: Integer[np.ndarray, " item"]
    groups: Integer[np.ndarray, " item"] | None
    strata: Integer[np.ndarray, " item"] | None


def read_arrays(path: Path) -> Arrays:
    """Read `predictions.npz`.

    Raises:
        ValueError: if it is missing or broken, or if its arrays are of different items.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except FileNotFoundError as error:
        raise ValueError(f"{path} does not exist: run the probe stage of this cell.") from error
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read ({error}): run the probe stage again.") from error
    if "labels" not in found:
        raise ValueError(f"{path} has no array 'labels': run the probe stage again.")
    labels, groups, strata = (found.pop(name, None) for name in ("labels", "groups", "strata"))
    predictions = {_parse(name, path): array for name, array in found.items()}
    for key, array in predictions.items():
        if array.shape != labels.shape:
            raise ValueError(
                f"{path}: {'/'.join(map(str, key))} predicts {len(array)} items, but there are "
                f"{len(labels)} labels: run the probe stage again."
            )
    for name, array in (("groups", groups), ("strata", strata)):
        if array is not None and array.shape != labels.shape:
            raise ValueError(
                f"{path}: {name} are of {len(array)} items, but there are {len(labels)} labels: "
                "run the probe stage again."
            )
    return Arrays(predictions, labels, groups, strata)


def read_features(path: Path) -> Float[np.ndarray, "kept channel"] | None:
    """Read `features.npy`; None if there is none.

    Raises:
        ValueError: if it is broken.
    """
    if not path.exists():
        return None
    try:
        features: np.ndarray = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path} cannot be read ({error}): run the probe stage again.") from error
    return features


def _parse(name: str, path: Path) -> Prediction:
    try:
        probe, fraction, draw = name.rsplit("/", 2)
        return Prediction(probe, float(fraction), int(draw))
    except ValueError as error:
        raise ValueError(f"{path}: array {name!r}, expected 'probe/fraction/draw'.") from error
