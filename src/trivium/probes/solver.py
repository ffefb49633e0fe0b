"""Multinomial logistic regression with L2: one smooth problem, for one value of C after another."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from trivium.probes.inputs import SparseFeatures

FLOOR = -60.0
"""Logits below it count as this, so that no product is a denormal number (they are slow)."""
BLOCK = 2**18
"""Feature values that are worked on together: they stay in the cache for both products."""
SAMPLE, RANK = 2048, 192
"""Items by which the curvature is estimated; principal axes along which wide features have one."""
DENSE, OVERHEAD = 2500, 1e6
"""Weights up to which a Hessian may be formed; what an evaluation costs besides its products."""
MEMORY, PATIENCE, SUFFICIENT, SHORTEST = 20, 2, 1e-4, 1e-8
REFRESHES = frozenset({2, 5, 10, 20, 40, 80, 160, 320, 640})

Vector: TypeAlias = Float[np.ndarray, " weight"]
Pairs: TypeAlias = deque[tuple[Vector, Vector]]
Metric: TypeAlias = Callable[[Vector], Vector]


@dataclass(frozen=True)
class Solution:
    """Where a solve ended.

    `decrement` estimates how far the value lies above its minimum, relative to the value;
    `converged` says that this stayed below the tolerance.
    """

    weights: Vector
    value: float
    decrement: float
    converged: bool
    num_iterations: int


class SoftmaxRegression:
    """Minimises `1/num_items sum_i CE(W x_i, y_i) + ridge/2 sum_kj penalty_j W_kj^2`.

    `W [class, channel]` is kept as one vector. Start where it sums to zero over the classes.
    Products run in the dtype of the features, sums in float64. What is learnt of the curvature at
    one ridge serves the next.

    Args:
        features: Dense or sparse; with a mean square of one in each channel it is solved fastest.
        labels: Class indices below `num_classes`.
        num_classes: Number of classes.
        penalty: Of each channel; zero in the last, which is one everywhere: the intercept.
        white: Whether the channels are uncorrelated, or nearly so.
    """

    def __init__(
        self,
        features: Float[Tensor, "item channel"] | SparseFeatures,
        labels: Int64[Tensor, " item"],
        num_classes: int,
        penalty: Float[np.ndarray, " channel"],
        *,
        white: bool = True,
    ) -> None:
        self.num_items, self.num_channels = features.shape
        self.num_classes = num_classes
        self.penalty = np.tile(penalty, num_classes)
        dense = isinstance(features, Tensor)
        rows = max(256, BLOCK // self.num_channels) if dense else self.num_items
        self.labels = labels.split(rows)
        self.blocks = features.split(rows) if dense else (features,)
        chosen = np.random.default_rng(0).permutation(self.num_items)[:SAMPLE]
        sample = features[chosen]
        self.small = len(self.penalty) <= DENSE
        self.sample = sample if dense or not self.small else torch.from_numpy(sample.toarray())
        single = dense and features.dtype == torch.float32
        self.noise = float(np.finfo(np.float32 if single else np.float64).eps)
        self.axes, self.variances = None, np.ones(self.num_channels)
        if not white:
            self.axes, self.variances = _principal(sample[:, :-1].double())
        self.pairs: Pairs = deque(maxlen=MEMORY)
        self.hessian: Float[Tensor, "weight weight"] | None = None
        self.spent = 0.0

    def loss(self, weights: Vector) -> tuple[float, Vector]:
        """Mean cross-entropy and its gradient."""
        by_class = self._by_class(weights)
        total, gradient = 0.0, torch.zeros_like(by_class)
        for rows, labels in zip(self.blocks, self.labels, strict=True):
            losses, errors = losses_and_errors(_logits(rows, by_class), labels)
            total += float(losses.sum(dtype=torch.float64))
            gradient += _products(rows, errors)
        gradient -= gradient.mean(0)
        self.spent += 4.0 * self.num_items * len(weights) + OVERHEAD
        return total / self.num_items, gradient.numpy().ravel() / self.num_items

    def minimise(
        self, start: Vector, ridge: float, *, tolerance: float, max_iterations: int
    ) -> Solution:
        """L-BFGS (Liu and Nocedal 1989) that begins with an estimate of the inverse Hessian.

        It is done when its Newton decrement `-g.d / 2`, an estimate of the distance to the
        minimum, stays below `tolerance` times the value.
        """
        penalty = ridge * self.penalty
        weights, (loss, slope) = start, self.loss(start)
        value, gradient = loss + weights @ (penalty * weights) / 2, slope + penalty * weights
        pairs: Pairs = deque(((s, y + penalty * s) for s, y in self.pairs), maxlen=MEMORY)
        metric, calm = self._metric(weights, penalty), 0
        for iteration in range(max_iterations + 1):
            if self._stale(iteration, weights):
                metric = self._metric(weights, penalty)
            direction = -_two_loops(gradient, pairs, metric)
            descent = float(direction @ gradient)
            decrement = -descent / 2 / max(value, np.finfo(np.float64).tiny)
            calm = calm + 1 if decrement <= tolerance else 0
            if calm == PATIENCE or iteration == max_iterations:
                break
            size, after = 1.0, np.inf
            while size >= SHORTEST:
                step = size * direction
                loss, after_slope = self.loss(weights + step)
                after = loss + (weights + step) @ (penalty * (weights + step)) / 2
                change = after_slope - slope + penalty * step
                level = after <= value * (1 + self.noise)
                level &= abs(direction @ (gradient + change)) <= -descent
                if level or after <= value + SUFFICIENT * size * descent:
                    break
                parabola = -descent * size / 2 / (after - value - size * descent)
                size *= min(max(parabola, 0.1), 0.5)
            else:
                calm = PATIENCE if decrement <= 10 * tolerance else 0
                break
            if step @ change > 0:
                self.pairs.append((step, after_slope - slope))
                pairs.append((step, change))
            weights, value = weights + step, after
            gradient, slope = after_slope + penalty * weights, after_slope
        return Solution(weights, value, decrement, calm == PATIENCE, iteration)

    def _stale(self, iteration: int, weights: Vector) -> bool:
        """Whether a new metric is due.

        A Hessian costs as much as many evaluations: it is formed once they have cost as much.
        """
        size = len(weights)
        cost = size * size * (size + 2 * self.sample.shape[0]) / 3
        if self.small and self.spent > cost:
            self.hessian, self.spent = self._hessian(weights), 0.0
            return True
        return self.hessian is None and iteration in REFRESHES

    def _metric(self, weights: Vector, penalty: Vector) -> Metric:
        """The inverse Hessian, or that of `mean(diag(p) - p p') x mean(x x') + penalty`."""
        if self.hessian is not None:
            matrix = self.hessian.clone()
            matrix.diagonal().add_(torch.from_numpy(penalty))
            factor = torch.linalg.cholesky(matrix)
            return lambda g: torch.cholesky_solve(torch.from_numpy(g)[:, None], factor)[:, 0].numpy()
        shares = torch.softmax(_logits(self.sample, self._by_class(weights)), 0)
        covariance = torch.diag(shares.sum(1)) - shares @ shares.mT
        covariance = covariance.double().numpy() / shares.shape[1]
        curvature, turn = np.linalg.eigh(covariance + 1 / self.num_classes)
        curvature = curvature.clip(self.noise)[:, None]
        ridge = penalty.reshape(self.num_classes, -1)[0]
        outside = 1 / (curvature * self.variances + ridge)
        if self.axes is None:
            return lambda g: (turn @ (turn.T @ g.reshape(turn.shape[0], -1) * outside)).ravel()
        axes, variances = self.axes
        inside = 1 / (curvature * variances + ridge[0]) - outside[:, :1]

        def apply(gradient: Vector) -> Vector:
            turned = turn.T @ gradient.reshape(turn.shape[0], -1)
            found = turned * outside
            found[:, :-1] += (turned[:, :-1] @ axes * inside) @ axes.T
            return (turn @ found).ravel()

        return apply

    def _hessian(self, weights: Vector) -> Float[Tensor, "weight weight"]:
        """Second derivatives of the mean cross-entropy of the sample, made positive definite."""
        sample = self.sample.double()
        shares = torch.softmax(_logits(sample, self._by_class(weights)), 0)
        scaled = (shares[:, None] * sample.mT).flatten(0, 1).numpy()
        hessian = -(scaled @ scaled.T)
        by_class = hessian.reshape(self.num_classes, self.num_channels, self.num_classes, -1)
        for index, one in enumerate(scaled.reshape(self.num_classes, self.num_channels, -1)):
            by_class[index, :, index] += one @ sample.numpy()
        hessian /= len(sample)
        hessian[np.diag_indices(len(hessian))] += 1e-9 * hessian.diagonal().mean()
        channels = np.arange(self.num_channels)
        by_class[:, channels, :, channels] += 1 / self.num_classes
        return torch.from_numpy(hessian)

    def _by_class(self, weights: Vector) -> Float[Tensor, "class channel"]:
        return torch.from_numpy(weights.reshape(self.num_classes, -1))


def losses_and_errors(
    logits: Float[Tensor, "class item"], labels: Int64[Tensor, " item"]
) -> tuple[Float[Tensor, " item"], Float[Tensor, "class item"]]:
    """Cross-entropies and their derivatives by the logits, which are overwritten.

    Logits are taken relative to the true class, and a loss is `max + log1p(sum of the others)`: so
    both keep their relative precision when they go to zero on separable data.
    """
    index = labels[None]
    logits -= logits.gather(0, index)
    top = logits.amax(0, keepdim=True)
    logits.sub_(top).clamp_(min=FLOOR).exp_().scatter_(0, index, 0.0)
    others, true = logits.sum(0, keepdim=True), torch.exp(-top)
    losses = top + torch.log1p(others + torch.expm1(-top))
    logits.div_(others + true).scatter_(0, index, -others / (others + true))
    return losses[0], logits


def _principal(
    features: Float[Tensor, "item channel"],
) -> tuple[tuple[np.ndarray, np.ndarray], Float[np.ndarray, " one_more"]]:
    """The first axes [channel, axis] with their variances, and the mean variance of the others."""
    width = features.shape[1]
    probes = torch.from_numpy(np.random.default_rng(0).normal(size=(width, RANK)))
    basis = torch.linalg.qr(features.mT @ (features @ probes))[0]
    inner = features @ basis
    variances, turn = torch.linalg.eigh(inner.mT @ inner / len(features))
    rest = float(features.square().sum()) / len(features) - float(variances.sum())
    others = np.full(width + 1, max(rest, 0.0) / max(width - RANK, 1))
    others[-1] = 1
    return ((basis @ turn).numpy(), variances.clamp_min(0).numpy()), others


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


def _logits(rows: Tensor | SparseFeatures, weights: Tensor) -> Float[Tensor, "class item"]:
    if isinstance(rows, Tensor):
        return weights.to(rows.dtype) @ rows.mT
    return torch.from_numpy(rows @ weights.numpy().T).mT.contiguous()


def _products(rows: Tensor | SparseFeatures, errors: Tensor) -> Float[Tensor, "class channel"]:
    if isinstance(rows, Tensor):
        return errors @ rows
    return torch.from_numpy(rows.T @ errors.numpy().T).mT
