"""What a probe accepts: the checks at its border."""

import numpy as np
from jaxtyping import Float, Int64, Shaped


def check_features(
    features: Shaped[np.ndarray, "..."], width: int | None = None
) -> Float[np.ndarray, "item channel"]:
    """Features as a finite floating array.

    Raises:
        ValueError: no items, another width than the probe was fitted on, or values that are not
            finite; the message counts them.
    """
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(f"features must be [item, channel] and not empty, got {features.shape}")
    if width is not None and features.shape[1] != width:
        raise ValueError(
            f"the probe was fitted on {width} channels, but these features have "
            f"{features.shape[1]}: embed both with the same encoder"
        )
    if not np.issubdtype(features.dtype, np.floating):
        features = features.astype(np.float32)
    finite = np.isfinite(features).all(1)
    if not finite.all():
        raise ValueError(
            f"{int((~finite).sum())} of {len(features)} feature rows hold NaN or infinity, the "
            f"first is row {int(np.argmin(finite))}: the encoder diverged or the input is broken"
        )
    return features


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
