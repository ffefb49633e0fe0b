"""What a probe accepts: the checks at its border."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int64, Shaped
from scipy import sparse

SparseFeatures: TypeAlias = sparse.csr_array
"""Features [item, channel] of which nearly all are zero, such as counts of words."""


def unit_rows(features: Float[np.ndarray, "row channel"]) -> Float[np.ndarray, "row channel"]:
    """Rows scaled to unit length, in double precision; rows of zeros stay as they are."""
    exact = features.astype(np.float64)
    norms = np.linalg.norm(exact, axis=1, keepdims=True)
    unit: np.ndarray = np.divide(exact, norms, out=np.zeros_like(exact), where=norms > 0)
    return unit


class CollapsedError(ValueError):
    """Features that are the same for all items: nothing can be said of their spectrum."""


def check_features(
    features: Shaped[np.ndarray, "..."], width: int | None = None
) -> Float[np.ndarray, "item channel"]:
    """Features as a finite floating array.

    Raises:
        ValueError: no items, another width than the probe was fitted on, or values that are not
            finite; the message counts them.
    """
    _check_shape(features.shape, width)
    if not np.issubdtype(features.dtype, np.floating):
        features = features.astype(np.float32)
    _check_finite(np.isfinite(features).all(1))
    return features


def check_sparse(features: SparseFeatures, width: int | None = None) -> SparseFeatures:
    """Sparse features as finite floats.

    Raises:
        ValueError: as `check_features`.
    """
    _check_shape(features.shape, width)
    if not np.issubdtype(features.dtype, np.floating):
        features = features.astype(np.float32)
    broken = features.tocoo().coords[0][~np.isfinite(features.data)]
    finite = np.ones(features.shape[0], bool)
    finite[broken] = False
    _check_finite(finite)
    return features


def check_any(
    features: Shaped[np.ndarray, "..."] | SparseFeatures, width: int | None = None
) -> Float[np.ndarray, "item channel"] | SparseFeatures:
    """Dense or sparse features as finite floats.

    Raises:
        ValueError: as `check_features`.
    """
    if isinstance(features, np.ndarray):
        return check_features(features, width)
    return check_sparse(features, width)


def stacked(
    first: Float[np.ndarray, "_ channel"] | SparseFeatures,
    second: Float[np.ndarray, "_ channel"] | SparseFeatures,
) -> Float[np.ndarray, "item channel"] | SparseFeatures:
    """The items of both, dense or sparse."""
    if isinstance(first, np.ndarray):
        return np.concatenate([first, second])
    return sparse.vstack([first, second], format="csr")


def check_c(values: Sequence[float], tolerance: float) -> tuple[float, ...]:
    """The values of C of a linear probe as floats.

    Raises:
        ValueError: values that are not positive and ascending, or a tolerance of zero.
    """
    if not values or min(values) <= 0 or list(values) != sorted(set(values)):
        raise ValueError(f"C must be positive and ascending, got {list(values)}")
    if tolerance <= 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    return tuple(float(value) for value in values)


def check_labels(labels: Shaped[np.ndarray, "..."], num_items: int) -> Shaped[np.ndarray, " label"]:
    """One label per item.

    Raises:
        ValueError: labels of another number than the features.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or len(labels) != num_items:
        raise ValueError(
            f"there must be one label per item: got labels of shape {labels.shape} "
            f"for {num_items} items"
        )
    return labels


def class_indices(
    labels: Shaped[np.ndarray, "..."], classes: Shaped[np.ndarray, " class"]
) -> Int64[np.ndarray, " item"]:
    """The position of each label among the (sorted) classes.

    Raises:
        ValueError: a label is none of the classes.
    """
    index = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    unknown = np.unique(labels[classes[index] != labels])
    if len(unknown):
        raise ValueError(
            f"labels {unknown.tolist()} have no training item: the probe cannot learn a class "
            "that is missing; draw a larger or stratified training set"
        )
    return index.astype(np.int64)


def training_classes(labels: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, " class"]:
    """The sorted classes of a training set.

    Raises:
        ValueError: fewer than two classes.
    """
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(f"a probe needs at least two classes, got only {classes.tolist()}")
    return classes


def _check_shape(shape: tuple[int, ...], width: int | None) -> None:
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"features must be [item, channel] and not empty, got {shape}")
    if width is not None and shape[1] != width:
        raise ValueError(
            f"the probe was fitted on {width} channels, but these features have "
            f"{shape[1]}: embed both with the same encoder"
        )


def _check_finite(finite: np.ndarray) -> None:
    if not finite.all():
        raise ValueError(
            f"{int((~finite).sum())} of {len(finite)} feature rows hold NaN or infinity, the "
            f"first is row {int(np.argmin(finite))}: the encoder diverged or the input is broken"
        )
