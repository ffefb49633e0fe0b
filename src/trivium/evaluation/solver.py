"""Multinomial logistic regression with L2, for one value of C after another."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int64
from threadpoolctl import threadpool_limits
from torch import Tensor

from trivium.evaluation.checks import SparseFeatures


@contextmanager
def torch_threads() -> Iterator[None]:
    """Within it, or a function that it decorates, linear algebra uses torch's number of threads.

    By itself it takes every core: jobs side by side would then wait for each other.
    """
    with threadpool_limits(limits=torch.get_num_threads(), user_api="blas"):
        yield


BLOCK = 2**20
"""Feature values that are worked on together, so that they stay in the cache."""
SAMPLE, RANK = 2048, 192
"""Items that estimate curvature, and axes along which that of many correlated channels is."""
FEW, OVERHEAD = 2500, 1e6
"""Weights that may have a Hessian; operations that an evaluation costs besides its products."""
MEMORY, PATIENCE, SUFFICIENT, SHORTEST = 20, 2, 1e-4, 1e-8

Vector: TypeAlias = Float[np.ndarray, " weight"]
Pairs: TypeAlias = deque[tuple[Vector, Vector]]
Metric: TypeAlias = Callable[[Vector], Vector]


class SoftmaxRegression:
    """Minimises `1/num_items sum_i CE(W x_i, y_i) + ridge/2 sum_kj penalty_j W_kj^2`.

    `W [class, channel]` is one vector; it sums to zero over the classes if it does so at the start.
    Products run in the dtype of the features, sums in float64. What is learnt of the curvature at
    one ridge serves the next. Features have a mean square of one in each channel, and are
    uncorrelated unless `correlated` (and then dense); the last channel is one: the intercept.
    """

    def __init__(
        self,
        features: Float[np.ndarray, "item channel"] | SparseFeatures,
        labels: Int64[np.ndarray, " item"],
        num_classes: int,
        penalty: Float[np.ndarray, " channel"],
        *,
        correlated: bool = False,
    ) -> None:
        self.num_items, self.num_classes = len(labels), num_classes
        self.penalty = np.tile(penalty, num_classes)
        dense = isinstance(features, np.ndarray)
        rows = max(256, BLOCK // len(penalty)) if dense else self.num_items
        starts = range(0, self.num_items, rows)
        self.labels = [torch.from_numpy(labels[first : first + rows]) for first in starts]
        self.blocks = [features[first : first + rows] for first in starts] if dense else [features]
        self.noise = np.finfo(features.dtype).eps
        self.sample: np.ndarray | SparseFeatures = features[
            np.random.default_rng(0).permutation(self.num_items)[:SAMPLE]
        ]
        self.axes = (np.empty((len(penalty) - 1, 0)), np.empty(0), 1.0)
        if correlated:
            self.axes = principal(torch.from_numpy(self.sample[:, :-1].astype(np.float64)))
        self.pairs: Pairs = deque(maxlen=MEMORY)
        self.hessian: Float[Tensor, "weight weight"] | None = None
        self.spent = 0.0

    def loss(self, weights: Vector) -> tuple[float, Vector]:
        """Mean cross-entropy and its gradient."""
        by_class = weights.reshape(self.num_classes, -1)
        total, gradient = 0.0, np.zeros_like(by_class)
        for rows, labels in zip(self.blocks, self.labels, strict=True):
            probabilities, index = _logits(rows, by_class).softmax(0), labels[None]
            true = probabilities.gather(0, index)
            total -= float(true.log().sum())
            errors = probabilities.scatter_(0, index, true - 1).numpy()
            if isinstance(rows, np.ndarray):
                gradient += errors.astype(rows.dtype) @ rows
            else:
                gradient += (rows.T @ errors.T).T
        gradient -= gradient.mean(0)
        self.spent += 4.0 * self.num_items * len(weights) + OVERHEAD
        return total / self.num_items, gradient.ravel() / self.num_items

    def minimise(
        self, start: Vector, ridge: float, *, tolerance: float, max_iterations: int
    ) -> tuple[Vector, float, float, bool]:
        """L-BFGS (Liu and Nocedal 1989) that begins with an estimate of the inverse Hessian.

        It is done when its Newton decrement `-g.d / 2`, an estimate of the distance to the
        minimum, stays below `tolerance` times the value. Returns where it ended, the value, the
        relative distance, and whether it was done before `max_iterations`.
        """
        penalty = ridge * self.penalty
        weights, (loss, slope) = start, self.loss(start)
        value = loss + weights @ (penalty * weights) / 2
        pairs: Pairs = deque(((s, y + penalty * s) for s, y in self.pairs), maxlen=MEMORY)
        metric, calm = self._metric(weights, penalty), 0
        for iteration in range(max_iterations + 1):
            if self._is_stale(iteration, weights):
                metric = self._metric(weights, penalty)
            gradient = slope + penalty * weights
            direction = -_two_loops(gradient, pairs, metric)
            descent = float(direction @ gradient)
            distance = -descent / 2 / max(value, np.finfo(np.float64).tiny)
            calm = calm + 1 if distance <= tolerance else 0
            if calm == PATIENCE or iteration == max_iterations:
                break
            size = 1.0
            while size >= SHORTEST:
                step = size * direction
                loss, after = self.loss(weights + step)
                found = loss + (weights + step) @ (penalty * (weights + step)) / 2
                change = after - slope + penalty * step
                level = found <= value * (1 + self.noise)  # the decrease may be lost in rounding
                level &= abs(direction @ (gradient + change)) <= -descent
                if level or found <= value + SUFFICIENT * size * descent:
                    break
                size *= np.clip(-descent * size / 2 / (found - value - size * descent), 0.1, 0.5)
            else:
                calm = PATIENCE if distance <= 10 * tolerance else 0
                break
            if step @ change > 0:
                self.pairs.append((step, after - slope))
                pairs.append((step, change))
            weights, value, slope = weights + step, found, after
        return weights, value, distance, calm == PATIENCE

    def _is_stale(self, iteration: int, weights: Vector) -> bool:
        """Whether a new metric is due; a Hessian is, once evaluations have cost as much as it."""
        size = len(weights)
        if size > FEW or self.spent < size * size * (size + 3 * self.sample.shape[0]) / 3:
            return self.hessian is None and iteration.bit_count() == 1
        self.hessian, self.spent = self._hessian(weights), 0.0
        return True

    def _metric(self, weights: Vector, penalty: Vector) -> Metric:
        """The inverse Hessian, or that of `mean(diag(p) - p p') x mean(x x') + penalty`."""
        if self.hessian is not None:
            factor = torch.linalg.cholesky(self.hessian + torch.from_numpy(np.diag(penalty)))
            return lambda g: (
                torch.cholesky_solve(torch.from_numpy(g[:, None]), factor).numpy().ravel()
            )
        by_class = weights.reshape(self.num_classes, -1)
        p = _logits(self.sample, by_class).softmax(0)
        covariance = p.mean(1).diag() - p @ p.mT / p.shape[1] + 1 / self.num_classes
        curvature, turn = np.linalg.eigh(covariance.numpy())
        curvature, ridges = curvature.clip(self.noise)[:, None], penalty[: by_class.shape[1]]
        axes, variances, others = self.axes
        inverse = 1 / (curvature * np.append(np.full(len(axes), others), 1.0) + ridges)
        inside = 1 / (curvature * variances + ridges[0]) - inverse[:, :1]

        def along_axes(gradient: Vector) -> Vector:
            turned = turn.T @ gradient.reshape(by_class.shape)
            found = turned * inverse
            found[:, :-1] += (turned[:, :-1] @ axes * inside) @ axes.T
            along: Vector = (turn @ found).ravel()
            return along

        return along_axes

    def _hessian(self, weights: Vector) -> Float[Tensor, "weight weight"]:
        """Second derivatives of the mean cross-entropy of the sample, made positive definite."""
        sample = self.sample if isinstance(self.sample, np.ndarray) else self.sample.toarray()
        sample, by_class = sample.astype(np.float64), weights.reshape(self.num_classes, -1)
        probabilities = _logits(sample, by_class).softmax(0).numpy()
        scaled = probabilities[:, None] * sample.T
        flat = scaled.reshape(len(weights), -1)
        hessian = -(flat @ flat.T)  # NumPy computes one half of a product with a transpose
        view = hessian.reshape(*by_class.shape, *by_class.shape)
        for index, rows in enumerate(scaled):
            view[index, :, index] += rows @ sample
        hessian /= len(sample)
        hessian[np.diag_indices(len(hessian))] += 1e-9 * hessian.diagonal().mean()
        channels = np.arange(by_class.shape[1])
        view[:, channels, :, channels] += 1 / self.num_classes
        return torch.from_numpy(hessian)


def principal(features: Float[Tensor, "item channel"]) -> tuple[np.ndarray, np.ndarray, float]:
    """The first axes [channel, axis], their variances, and the mean variance of the others.

    All axes of up to `RANK` channels and of few items, which span few; else close to the first.
    """
    num_items, width = features.shape
    basis = torch.eye(width, dtype=features.dtype)
    if width >= 2 * num_items:
        basis = torch.linalg.qr(features.mT)[0]
    elif width > RANK:
        random = torch.from_numpy(np.random.default_rng(0).normal(size=(width, RANK)))
        basis = torch.linalg.qr(features.mT @ (features @ random))[0]
    inner = features @ basis
    variances, turn = torch.linalg.eigh(inner.mT @ inner / num_items)
    rest = float(features.square().sum() / num_items - variances.sum())
    others = max(rest, 0.0) / max(width - RANK, 1)
    return (basis @ turn).numpy(), variances.clamp_min(0).numpy(), others


def _two_loops(gradient: Vector, pairs: Pairs, metric: Metric) -> Vector:
    """The inverse Hessian that some steps and changes of the gradient imply, times the gradient."""
    vector, factors = gradient.copy(), []
    inner = [step @ change for step, change in pairs]
    for (step, change), scale in zip(reversed(pairs), reversed(inner), strict=True):
        factors.append((step @ vector) / scale)
        vector -= factors[-1] * change
    vector = metric(vector)
    if pairs:
        vector *= inner[-1] / (pairs[-1][1] @ metric(pairs[-1][1]))
    for (step, change), scale, factor in zip(pairs, inner, reversed(factors), strict=True):
        vector += (factor - (change @ vector) / scale) * step
    return vector


def _logits(
    rows: np.ndarray | SparseFeatures, weights: Float[np.ndarray, "class channel"]
) -> Float[Tensor, "class item"]:
    """In float64; products are NumPy's, whose BLAS is the faster one for few classes."""
    products = rows @ weights.astype(rows.dtype if isinstance(rows, np.ndarray) else float).T
    return torch.from_numpy(np.ascontiguousarray(products.T, dtype=np.float64))
