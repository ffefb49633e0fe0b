"""How alike two encoders see the same items."""

import numpy as np
from jaxtyping import Float

from trivium.probes.inputs import CollapsedError, check_features


def linear_cka(
    first: Float[np.ndarray, "item channel"], second: Float[np.ndarray, "item2 channel2"]
) -> float:
    """Linear centred kernel alignment: 1 for features that a rotation and a scale make equal.

    Kornblith et al. 2019, 1905.00414, Eq. 3 and 4, with the unbiased estimate of HSIC (Song et al.,
    JMLR 13:1393, 2012, Eq. 5; for CKA Nguyen et al. 2020, 2010.15327, Eq. 3): without it, a few
    hundred items of wide features are alike whatever they are. It may be slightly below 0.

    Raises:
        CollapsedError: the features of one side are all the same.
        ValueError: the numbers of items differ or are below four, or features are not finite.
    """
    return cka(gram(first), gram(second))


def cka(first: Float[np.ndarray, "item item"], second: Float[np.ndarray, "item2 item2"]) -> float:
    """The same from `gram` of each, for many comparisons of the same features.

    Raises:
        CollapsedError: the features of one side are all the same.
        ValueError: the numbers of items differ or are below four.
    """
    if len(first) != len(second) or len(first) < 4:
        raise ValueError(
            f"CKA compares features of the same items, four at least; got {len(first)} and "
            f"{len(second)}"
        )
    own, other = _hsic(first, first), _hsic(second, second)
    if own <= 0 or other <= 0:
        raise CollapsedError("all items have the same features: the encoder collapsed")
    return float(_hsic(first, second) / np.sqrt(own * other))


def gram(features: Float[np.ndarray, "item channel"]) -> Float[np.ndarray, "item item"]:
    """Inner products of the centred features, without those of an item with itself."""
    exact = check_features(features).astype(np.float64)
    exact = exact - exact.mean(0)
    products: np.ndarray = exact @ exact.T
    np.fill_diagonal(products, 0)
    return products


def _hsic(first: np.ndarray, second: np.ndarray) -> float:
    num = len(first)
    rows, columns = first.sum(0), second.sum(0)
    found = (first * second).sum() + rows.sum() * columns.sum() / ((num - 1) * (num - 2))
    return float((found - 2 * rows @ columns / (num - 2)) / (num * (num - 3)))
