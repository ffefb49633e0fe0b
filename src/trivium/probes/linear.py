"""The linear probe: multinomial logistic regression, its C chosen on validation."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from scipy import sparse

from trivium.probes.inputs import (
    SparseFeatures,
    check_any,
    check_c,
    check_labels,
    class_indices,
    stacked,
    training_classes,
)
from trivium.probes.solver import RANK, SoftmaxRegression, Vector, principal

VALUES_OF_C = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4)
COARSE, MARGIN, CLOSE, ROWS = 1e-4, 0.1, 0.03, 4096
EXACT_SIZE = 400_000
"""Feature values up to which all products run in float64: small sets cost little."""

Features: TypeAlias = Shaped[np.ndarray, "_ channel"] | SparseFeatures
Labelled: TypeAlias = tuple[Features, Shaped[np.ndarray, "..."]]


class ConvergenceWarning(UserWarning):
    """A probe stopped at its iteration limit before it reached its tolerance."""


class LinearProbe:
    """Multinomial logistic regression with L2, on standardised dense features or sparse ones.

    It minimises scikit-learn's `C sum_i CE_i + 1/2 ||W||^2` (the intercept is free) for one C after
    another, from the smallest, each from the minimum before. With a validation set, C is the one
    of the lowest mean validation cross-entropy (the smaller one in a tie), and the probe is fitted
    again on both sets together. The C are then first solved to a tolerance of 1e-4, until one has a
    cross-entropy more than a tenth above the best: larger ones overfit even more and are not tried.
    Only those within 3 % of the best are candidates and are solved to the end. Sparse features
    are not standardised: that would fill the matrix, and rows of tf-idf have unit length already.

    Args:
        C: Values to choose from, ascending.
        tolerance: Estimated relative distance of the objective to its minimum.
        max_iterations: Limit for each solve.
        common_scale: Whether features are centred and all scaled by one number, instead of each
            to a standard deviation of one.

    Attributes:
        C_: The chosen C; without validation the largest.
        coef_: Weights [class, channel] for standardised features.
        intercept_: [class].
        mean_: Mean [channel] of the features that it was fitted on; zero of sparse ones.
        scale_: Standard deviation [channel]; 1 where a channel is constant, and of sparse ones.
        classes_: Sorted labels.
        validation_scores_: Mean validation cross-entropy of each C (nats), infinite where it was
            not tried; or empty.
        validation_accuracy_: Validation accuracy of each C, NaN where it was not tried; or empty.
        objective_: Value of `C sum_i CE_i + 1/2 ||W||^2` at each C, before the second fit; infinite
            where it was not tried.
        converged_: Whether all solves reached the tolerance; if not, a warning was given.
    """

    def __init__(
        self,
        C: Sequence[float] = VALUES_OF_C,  # noqa: N803
        *,
        tolerance: float = 5e-8,
        max_iterations: int = 2000,
        common_scale: bool = False,
    ) -> None:
        self.C = check_c(C, tolerance)
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self.common_scale = common_scale

    def fit(
        self,
        features: Features,
        labels: Shaped[np.ndarray, "..."],
        *,
        validation: Labelled | None = None,
    ) -> "LinearProbe":
        """Solve for all C; with validation, choose one and fit on both sets.

        Raises:
            ValueError: features that are not finite, lengths that do not match, fewer than two
                classes, or a validation label that no training item has.
        """
        features = check_any(features)
        self.classes_ = training_classes(check_labels(labels, features.shape[0]))
        index, count = class_indices(np.asarray(labels), self.classes_), len(self.C)
        held_out, targets = features[:0], index[:0]
        if validation is not None:
            held_out = check_any(validation[0], features.shape[1])
            targets = check_labels(validation[1], held_out.shape[0])
            targets = class_indices(targets, self.classes_)
        scores, accuracies = np.full(count, np.inf), np.full(count, np.nan)
        self.objective_, self.converged_, candidates = scores.copy(), True, np.arange(count)
        basis = Basis.of(features, common=self.common_scale)
        problem = basis.problem(features, index, len(self.classes_))
        path = np.zeros((count + 1, len(problem.penalty)))
        for tolerance in [max(COARSE, self.tolerance)] * len(targets[:1]) + [self.tolerance]:
            for row in candidates:
                start = path[row + np.isfinite(self.objective_[row])]
                path[row + 1], value = self._solve(problem, start, row, tolerance)
                self.objective_[row] = value
                self._keep(basis, row, path[row + 1])
                if validation is not None:
                    scores[row], accuracies[row] = self._measured(held_out, targets)
                    if scores[row] > (1 + MARGIN) * scores.min():
                        break
            candidates = np.flatnonzero(scores <= (1 + CLOSE) * scores.min())
        self.validation_scores_ = scores[: count * (validation is not None)]
        self.validation_accuracy_ = accuracies[: len(self.validation_scores_)]
        if validation is not None:
            best = candidates[int(np.argmin(scores[candidates]))]
            both, start = stacked(features, held_out), basis.weights(path[best + 1])
            basis = Basis.of(both, common=self.common_scale)
            problem = basis.problem(both, np.concatenate([index, targets]), len(self.classes_))
            point, _ = self._solve(problem, basis.point(start), best, self.tolerance)
            self._keep(basis, best, point)
        return self

    def predict(self, features: Features) -> np.ndarray:
        """The most probable class of each item."""
        predictions: np.ndarray = self.classes_[self._logits(features).argmax(1)]
        return predictions

    def predict_proba(self, features: Features) -> Float[np.ndarray, "item class"]:
        """Probabilities in the order of `classes_`."""
        return torch.from_numpy(self._logits(features)).softmax(1).numpy()

    def score(self, features: Features, labels: Shaped[np.ndarray, "..."]) -> float:
        """Accuracy."""
        return float(np.mean(self.predict(features) == check_labels(labels, features.shape[0])))

    def _solve(
        self, problem: SoftmaxRegression, start: Vector, row: int, tolerance: float
    ) -> tuple[Vector, float]:
        scale, limit = self.C[row] * problem.num_items, self.max_iterations
        found = problem.minimise(start, 1 / scale, tolerance=tolerance, max_iterations=limit)
        if not found.converged:
            self.converged_ = False
            warnings.warn(
                f"the linear probe did not reach its tolerance of {tolerance:g} for C = "
                f"{self.C[row]:g} (estimated relative distance {found.distance:.1e}): raise "
                f"max_iterations above {limit}",
                ConvergenceWarning,
                stacklevel=3,
            )
        return found.weights, found.value * scale

    def _keep(self, basis: "Basis", row: int, point: Vector) -> None:
        self.C_, self.mean_, self.scale_ = self.C[row], basis.mean, basis.scale
        self._weights = basis.weights(point)
        self.coef_ = self._weights[:, :-1] * basis.scale
        self.intercept_ = self._weights[:, -1] + self._weights[:, :-1] @ basis.mean

    def _measured(
        self, features: Features, targets: Int64[np.ndarray, " item"]
    ) -> tuple[float, float]:
        """Mean cross-entropy and accuracy."""
        logits = torch.from_numpy(self._logits(features))
        entropy = torch.nn.functional.cross_entropy(logits, torch.from_numpy(targets))
        return float(entropy), float(np.mean(logits.argmax(1).numpy() == targets))

    def _logits(self, features: Features) -> Float[np.ndarray, "item class"]:
        features = check_any(features, len(self.mean_))
        logits: np.ndarray = features @ self._weights[:, :-1].T + self._weights[:, -1]
        return logits


@dataclass(frozen=True)
class Basis:
    """The coordinates in which a probe is solved: an exact reformulation.

    A rotation leaves an L2 penalty as it is, a scaling divides it. So standardised features are
    turned onto their principal axes and scaled to variance one, where their Hessian is close to
    the identity over the channels; but not more than 192 channels of many items, where this costs
    too much. Sparse features are scaled to a mean square of one. A channel that is constant (of
    sparse ones: zero) has weight zero at the minimum and is left out. `forward` leads from the
    channels in use to the axes, `back` is its inverse, transposed.
    """

    mean: Float[np.ndarray, " channel"]
    scale: Float[np.ndarray, " channel"]
    used: Int64[np.ndarray, " used"]
    forward: Float[np.ndarray, "used axis"] | sparse.dia_array
    back: Float[np.ndarray, "used axis"] | sparse.dia_array
    penalty: Float[np.ndarray, " axis_and_one"]

    @classmethod
    def of(cls, features: Features, *, common: bool = False) -> "Basis":
        """The basis of some features; with a `common` scale, the root mean square of all."""
        if isinstance(features, np.ndarray):
            mean, scale = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
            constant = scale <= 1e-7 * np.abs(mean) + 1e-30
            if common:
                scale = np.full_like(scale, np.sqrt(np.mean(scale**2)) or 1.0)
            scale[constant] = 1.0
            used, variances = np.flatnonzero(~constant), np.ones(int((~constant).sum()))
            if len(used) <= RANK or len(used) >= 2 * len(features):
                standard = torch.from_numpy(((features - mean) / scale)[:, used])
                axes, variances, _ = principal(standard)
                kept = variances > 1e-12 * variances.max(initial=1e-12)
                axes, variances = axes[:, kept], variances[kept]
                sizes = scale[used][:, None] * np.sqrt(variances)
                penalty = np.append(1 / variances, 0.0)
                return cls(mean, scale, used, axes / sizes, axes * sizes, penalty)
            size = scale[used]
        else:
            squares = np.asarray(features.multiply(features).mean(0), dtype=np.float64)
            mean, scale, used = np.zeros_like(squares), np.ones_like(squares), squares.nonzero()[0]
            variances, size = squares[used], np.sqrt(squares[used])
        forward, back = sparse.diags_array(1 / size), sparse.diags_array(size)
        return cls(mean, scale, used, forward, back, np.append(1 / variances, 0.0))

    def problem(
        self, features: Features, index: Int64[np.ndarray, " item"], num_classes: int
    ) -> SoftmaxRegression:
        """The problem of labelled features in these coordinates, with ones appended."""
        shape, labels = (features.shape[0], len(self.penalty)), torch.from_numpy(index)
        if not isinstance(features, np.ndarray):
            scaled = features[:, self.used].astype(np.float64) @ self.forward
            rows = sparse.hstack([scaled, sparse.csr_array(np.ones((shape[0], 1)))], format="csr")
            return SoftmaxRegression(rows, labels, num_classes, self.penalty)
        turned = np.ones(shape, np.float64 if np.prod(shape) <= EXACT_SIZE else np.float32)
        for first in range(0, shape[0], ROWS):
            rows = slice(first, first + ROWS)
            turned[rows, :-1] = (features[rows] - self.mean)[:, self.used] @ self.forward
        correlated, white = sparse.issparse(self.forward), torch.from_numpy(turned)
        return SoftmaxRegression(white, labels, num_classes, self.penalty, correlated=correlated)

    def weights(self, point: Vector) -> Float[np.ndarray, "class weight"]:
        """[class, channel + 1] for features as they are, the intercept last."""
        turned = point.reshape(-1, len(self.penalty))
        weights = np.zeros((len(turned), len(self.mean) + 1))
        weights[:, self.used] = turned[:, :-1] @ self.forward.T
        weights[:, -1] = turned[:, -1] - weights[:, :-1] @ self.mean
        return weights

    def point(self, weights: Float[np.ndarray, "class weight"]) -> Vector:
        """The inverse of `weights`, for weights of any basis."""
        intercept = weights[:, -1] + weights[:, :-1] @ self.mean
        return np.column_stack([weights[:, self.used] @ self.back, intercept]).ravel()
