"""Diagnostics without labels: similarity of encoders, rank, alignment, uniformity."""

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.distance import pdist
from torch import Tensor

from trivium.evaluation.checks import CollapsedError, check_features, unit_rows


def linear_cka(
    first: Float[np.ndarray, "item channel"], second: Float[np.ndarray, "item2 channel2"]
) -> float:
    """Linear centred kernel alignment: 1 for features that a rotation and a scale make equal.

    Kornblith et al. 2019, 1905.00414, Eq. 3 and 4, with the unbiased estimate of HSIC (Song et al.,
    JMLR 13:1393, 2012, Eq. 5; for CKA Nguyen et al. 2020, 2010.15327, Eq. 3): without it, a few
    hundred items of wide features are alike whatever they are. It may be slightly below 0; errors
    as `cka`, and ValueError if features are not finite.
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


FIRST = 4
"""The eigenvalue, counted from 1, at which alpha-ReQ begins: the largest are no power law."""
LAST = 100
"""The one at which it ends at the latest."""
TAIL = 10
"""So many of the smallest are left out: a spectrum of n items falls off at its end."""


def rankme(features: Float[np.ndarray, "item channel"], *, epsilon: float = 1e-7) -> float:
    """Smooth rank of the features: the exponential of the entropy of their singular values.

    RankMe (Garrido et al. 2022, 2210.02885, Eq. 1 and 2), between 1 (collapsed) and the
    number of channels. The features are not centred, as in the paper.

    `epsilon` is added to the shares of the singular values. At best of 25,000 items or more; fewer
    items than channels bound the rank.

    Raises:
        CollapsedError: features that are zero throughout.
        ValueError: features that are empty or not finite.
    """
    values = _exact(features)
    gram = values.mT @ values if len(values) >= values.shape[1] else values @ values.mT
    singular = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    if singular.sum() == 0:
        raise CollapsedError("all features are zero: the encoder collapsed")
    return _smooth_rank(singular, epsilon)


def alpha_req(features: Float[np.ndarray, "item channel"]) -> float | None:
    """How fast the eigenvalues of the features' covariance fall: i-th of i to the power -alpha.

    alpha-ReQ (Agrawal et al., NeurIPS 2022, section 3), which finds that encoders with alpha near
    1 do best. The logarithms are fitted by least squares with weights 1 / i, as in Stringer et al.
    (Nature 571:361, 2019, methods), here over the eigenvalues from the 4th to the 100th, but not
    the ten smallest. None where fewer than three are left.

    Raises:
        ValueError: features that are empty or not finite.
    """
    values = _exact(features)
    centred = values - values.mean(0)
    spectrum = torch.linalg.svdvals(centred).square()
    spectrum = spectrum[spectrum > spectrum.amax() * 1e-12]
    last = min(LAST, len(spectrum) - TAIL)
    if last - FIRST + 1 < 3:
        return None
    order = np.arange(FIRST, last + 1)
    heights = spectrum[FIRST - 1 : last].log().numpy()
    slope, _ = np.polyfit(np.log(order), heights, 1, w=np.sqrt(1 / order))
    return -float(slope)


def alignment(views: Float[np.ndarray, "item view channel"]) -> float:
    """Mean squared distance of two views of an item on the unit sphere, in [0, 4]; low is close.

    Wang and Isola 2020, 2005.10242, section 4.1, with alpha 2, over all pairs of an item's views.

    Raises:
        ValueError: there is one view alone, or features are not finite.
    """
    rows, num = _rows(views), views.shape[1]
    unit = unit_rows(rows).reshape(views.shape)
    # Of unit vectors, all squared distances of pairs sum to num^2 - |sum|^2.
    between = num**2 - np.square(unit.sum(1)).sum(1)
    return float(between.mean() / (num * (num - 1) / 2))


def uniformity(features: Float[np.ndarray, "item channel"]) -> float:
    """How evenly features fill the unit sphere: the lower the more; 0 is a single point.

    Many items in many dimensions come down to -4, two opposite ones to -8.
    Wang and Isola 2020, 2005.10242, section 4.1: the logarithm of the mean Gaussian potential of
    all pairs, with t = 2.

    Raises:
        ValueError: there are fewer than two items, or features are not finite.
    """
    if len(features) < 2:
        raise ValueError("uniformity is of two items or more")
    squared = pdist(unit_rows(check_features(features)), "sqeuclidean")
    return float(np.log(np.exp(-2 * squared).mean()))


def lidar(
    views: Float[np.ndarray, "item view channel"], *, delta: float = 1e-4, epsilon: float = 1e-7
) -> float:
    """Smooth rank of what tells items apart, in units of what tells views of one item apart.

    LiDAR (Thilak et al. 2023, 2312.04000, Eq. 1 to 3): RankMe of the eigenvalues of linear
    discriminant analysis with each item as a class, between 1 and the number of channels (or of
    items less one).

    `delta` is added to the diagonal of the covariance within items, in units of its mean variance
    (the paper adds a constant, which depends on the scale of the features), `epsilon` to the shares
    of the eigenvalues.

    Raises:
        CollapsedError: items do not differ.
        ValueError: there is one view alone, or features are not finite.
    """
    num_items, num_views, width = views.shape
    values = _exact(_rows(views)).view(num_items, num_views, width)
    means = values.mean(1)
    centred = means - means.mean(0)
    if not centred.any():
        raise CollapsedError("all items have the same features: the encoder collapsed")
    apart = (values - means[:, None]).reshape(-1, width)
    within = apart.mT @ apart / (num_items * (num_views - 1))
    scale = within.diagonal().mean() if within.any() else centred.var(0).mean()
    within = within + delta * scale * torch.eye(width, dtype=within.dtype)
    # The eigenvalues of W^-1/2 B W^-1/2 are the squared singular values of B's root, whitened.
    factor = torch.linalg.cholesky(within)
    white = torch.linalg.solve_triangular(factor, centred.mT, upper=False)
    eigenvalues = torch.linalg.svdvals(white).square()
    return _smooth_rank(eigenvalues, epsilon)


def _rows(views: Float[np.ndarray, "item view channel"]) -> Float[np.ndarray, "row channel"]:
    """All views of all items, at least two of each."""
    if views.shape[1] < 2:
        raise ValueError(f"expected two views of each item or more, got shape {views.shape}")
    return check_features(views.reshape(-1, views.shape[2]))


def _smooth_rank(values: Tensor, epsilon: float) -> float:
    shares = values / values.sum() + epsilon
    return math.exp(-float((shares * shares.log()).sum()))


def _exact(features: np.ndarray) -> Tensor:
    return torch.from_numpy(check_features(features).astype(np.float64))
