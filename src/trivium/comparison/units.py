"""What is resampled of a test set: its items, or whole groups of items that belong together."""

import numpy as np
from jaxtyping import Float, Integer


def num_units(
    labels: Integer[np.ndarray, " item"], groups: Integer[np.ndarray, " item"] | None
) -> int:
    """How many independent units a test set has."""
    return len(labels) if groups is None else len(np.unique(groups))


def pooled(
    values: Float[np.ndarray, "seed draw score"], groups: Integer[np.ndarray, " item"] | None
) -> Float[np.ndarray, "seed draw unit"]:
    r"""Scores of units whose plain mean is that of the items.

    With groups (several drawings of one concept, several takes of one speaker) items are not
    independent, and resampling them one by one gives intervals that are too narrow; the group is
    resampled as a whole. Unit g gets $\bar x + \frac{G}{N} \sum_{i \in g} (x_i - \bar x)$, the
    linearised ratio estimator of cluster sampling (Cochran 1977, Sampling Techniques, 9A.3), so
    that groups may differ in size. It is linear: differences of scores stay differences. A metric
    without per-item scores (a single one) is returned as it is.
    """
    if groups is None or values.shape[2] == 1:
        return values
    _, index = np.unique(groups, return_inverse=True)
    member = np.zeros((len(groups), index.max() + 1), dtype=np.float32)
    member[np.arange(len(groups)), index] = member.shape[1] / len(groups)
    mean = values.mean(axis=2, keepdims=True, dtype=np.float64)
    units: np.ndarray = mean + (values - mean) @ member
    return units
