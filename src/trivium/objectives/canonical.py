"""Directions along which several sets of features are correlated, in closed form."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float


def correlate(
    features: Sequence[Float[np.ndarray, "item _"]], num_components: int, regularisation: float
) -> list[Float[np.ndarray, "_ component"]]:
    """Directions in each set [channel, component], the most correlated first.

    They are those of the problem of `trivium.objectives.control.cca.CCA`. The variances of the
    projected sets, ridges included, have mean one; for two sets, each is one. Each direction's
    value of largest magnitude, over all sets, is positive.

    Args:
        features: Sets of features of the same items; they need not be centred.
        num_components: Directions, at most as many as the smallest set has channels.
        regularisation: What is added to the variance of each channel of a set, in units of their
            mean.

    Raises:
        ValueError: A set's covariance is singular, and there is no regularisation.
    """
    from scipy.linalg import LinAlgError, block_diag, eigh

    across = np.cov(np.concatenate(features, axis=1), rowvar=False, bias=True)
    bounds = np.cumsum([0, *(rows.shape[1] for rows in features)])
    blocks = []
    for first, last in pairwise(bounds):
        block = across[first:last, first:last].copy()
        block += regularisation * np.trace(block) / len(block) * np.eye(len(block))
        blocks.append(block)
        across[first:last, first:last] = 0
    last = len(across) - 1
    try:
        chosen = [last - num_components + 1, last]
        found = eigh(across, block_diag(*blocks), subset_by_index=chosen)[1][:, ::-1]
    except LinAlgError as error:
        raise ValueError(
            "some features of a modality are functions of the others: raise "
            "objective.regularisation above zero."
        ) from error
    largest = np.take_along_axis(found, np.abs(found).argmax(0)[None], 0)
    found = found * np.sign(largest) * np.sqrt(len(features))
    return np.split(found, bounds[1:-1])
