"""What a probe accepts: the checks at its border."""

from collections.abc import Sequence
from typing import TypeAlias, TypeVar, cast

import numpy as np
from jaxtyping import Float, Int64, Shaped
from scipy import sparse

SparseFeatures: TypeAlias = sparse.csr_array
"""Features [item, channel] of which nearly all are zero, such as counts of words."""
Features: TypeAlias = Shaped[np.ndarray, "_ _"] | SparseFeatures
"""Features [item, channel], dense or sparse."""
AnyFeatures = TypeVar("AnyFeatures", bound=np.ndarray | SparseFeatures)
Labels: TypeAlias = Shaped[np.ndarray, "..."]
"""One label per item, of any type that can be sorted."""


class CollapsedError(ValueError):
    """Features that are the same for all items: nothing can be said of their spectrum."""


def unit_rows(features: Float[np.ndarray, "row channel"]) -> Float[np.ndarray, "row channel"]:
    """Rows scaled to unit length, in double precision; rows of zeros stay as they are."""
    exact = features.astype(np.float64)
    norms = np.linalg.norm(exact, axis=1, keepdims=True)
    unit: np.ndarray = np.divide(exact, norms, out=np.zeros_like(exact), where=norms > 0)
    return unit


def check_features(features: AnyFeatures, width: int | None = None) -> AnyFeatures:
    """Dense or sparse features as finite floats.

    Raises:
        ValueError: no items, another width than the probe was fitted on, or values that are not
            finite; the message counts them.
    """
    if len(features.shape) != 2 or 0 in features.shape:
        raise ValueError(f"features must be [item, channel] and not empty, got {features.shape}")
    if width is not None and features.shape[1] != width:
        raise ValueError(
            f"the probe was fitted on {width} channels, but these features have "
            f"{features.shape[1]}: embed both with the same encoder"
        )
    if not np.issubdtype(features.dtype, np.floating):
        features = cast(AnyFeatures, features.astype(np.float32))
    if isinstance(features, np.ndarray):
        broken = np.flatnonzero(~np.isfinite(features).all(1))
    else:
        broken = np.unique(features.tocoo().coords[0][~np.isfinite(features.data)])
    if len(broken):
        raise ValueError(
            f"{len(broken)} of {features.shape[0]} feature rows hold NaN or infinity, the first "
            f"is row {broken[0]}: the encoder diverged or the input is broken"
        )
    return features


def stacked(first: Features, second: Features) -> Features:
    """The items of both, dense or sparse."""
    if isinstance(first, np.ndarray):
        return np.concatenate([first, second])
    return sparse.vstack([first, second], format="csr")


def check_ascending(name: str, values: Sequence[float]) -> None:
    """Refuse values of a hyperparameter that are not positive and ascending.

    Raises:
        ValueError: if they are not.
    """
    if not values or min(values) <= 0 or list(values) != sorted(set(values)):
        raise ValueError(f"{name} must be positive and ascending, got {list(values)}")


def check_labels(labels: Labels, num_items: int) -> Shaped[np.ndarray, " label"]:
    """One label per item.

    Raises:
        ValueError: labels of another number than the features.
    """
    labels = np.asarray(labels)
    if labels.shape != (num_items,):
        raise ValueError(
            f"there must be one label per item: got labels of shape {labels.shape} "
            f"for {num_items} items"
        )
    return labels


def class_indices(
    labels: Labels, classes: Shaped[np.ndarray, " class"]
) -> Int64[np.ndarray, " item"]:
    """The position of each label among the (sorted) classes.

    Raises:
        ValueError: a label is none of the classes.
    """
    unknown = np.setdiff1d(labels, classes)
    if len(unknown):
        raise ValueError(
            f"labels {unknown.tolist()} have no training item: the probe cannot learn a class "
            "that is missing; draw a larger or stratified training set"
        )
    return np.searchsorted(classes, labels).astype(np.int64)


def training_classes(labels: Labels) -> Shaped[np.ndarray, " class"]:
    """The sorted classes of a training set.

    Raises:
        ValueError: fewer than two classes.
    """
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(f"a probe needs at least two classes, got only {classes.tolist()}")
    return classes
