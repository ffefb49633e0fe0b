"""The linear probe: multinomial logistic regression, its C chosen on validation."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from scipy import sparse
from torch.nn import functional as F

from trivium.evaluation.checks import (
    SparseFeatures,
    check_any,
    check_c,
    check_labels,
    class_indices,
    stacked,
    training_classes,
)
from trivium.evaluation.solver import RANK, SoftmaxRegression, Vector, principal, torch_threads

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
    again on both sets. The C are then first solved to 1e-4, until one has a cross-entropy more
    than a tenth above the best: larger ones overfit even more and are not tried. Those within 3 %
    of the best are candidates; they are solved to the end. Sparse features are not standardised:
    that would fill the matrix, and rows of tf-idf have unit length already.

    Args:
        C: Values to choose from, ascending.
        tolerance: Estimated relative distance of the objective to its minimum.
        max_iterations: Limit for each solve.
        common_scale: Whether one number scales all (centred) channels, not each its own.

    Attributes:
        C_: The chosen C; without validation the largest.
        coef_, intercept_: Weights [class, channel] for standardised features; [class].
        mean_, scale_: [channel] of the fitted features; 0 and 1 where they are sparse.
        classes_: Sorted labels.
        validation_scores_: Mean validation cross-entropy (nats) of each C, or empty; infinite where
            it was not tried.
        validation_accuracy_: Validation accuracy of each C, or empty; NaN where it was not tried.
        objective_: Its value at each C, before the second fit; infinite where it was not tried.
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

    @torch_threads()
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
        index, unknown = class_indices(np.asarray(labels), self.classes_), [np.inf] * len(self.C)
        scores, accuracies, self.objective_ = (np.array(unknown) for _ in range(3))
        self.validation_scores_ = self.validation_accuracy_ = np.empty(0)
        basis = Basis.of(features, common=self.common_scale)
        problem = basis.problem(features, index, len(self.classes_))
        path, candidates = (
            np.zeros((len(self.C) + 1, len(problem.penalty))),
            list(range(len(self.C))),
        )
        self.converged_ = True
        if validation is None:
            for row in candidates:
                path[row + 1] = self._solve(problem, path[row], row, self.tolerance)
            self._keep(basis, len(self.C) - 1, path[-1])
            return self
        held_out = check_any(validation[0], features.shape[1])
        targets = check_labels(validation[1], held_out.shape[0])
        targets = class_indices(targets, self.classes_)
        for tolerance in (max(COARSE, self.tolerance), self.tolerance):
            for row in candidates:
                start = path[row + np.isfinite(scores[row])]
                path[row + 1] = self._solve(problem, start, row, tolerance)
                self._keep(basis, row, path[row + 1])
                logits = torch.from_numpy(self._logits(held_out))
                scores[row] = F.cross_entropy(logits, torch.from_numpy(targets))
                accuracies[row] = np.mean(logits.argmax(1).numpy() == targets)
                if scores[row] > (1 + MARGIN) * scores.min():
                    break
            candidates = np.flatnonzero(scores <= (1 + CLOSE) * scores.min()).tolist()
        accuracies[np.isinf(scores)] = np.nan
        self.validation_scores_, self.validation_accuracy_ = scores, accuracies
        best = min(candidates, key=lambda row: scores[row])
        both, start, found = stacked(features, held_out), path[best + 1], self.objective_.copy()
        joint = Basis.of(both, common=self.common_scale)
        problem = joint.problem(both, np.concatenate([index, targets]), len(self.classes_))
        start = joint.point(basis.weights(start))
        self._keep(joint, best, self._solve(problem, start, best, self.tolerance))
        self.objective_ = found
        return self

    def predict(self, features: Features) -> np.ndarray:
        """The most probable class of each item."""
        predictions: np.ndarray = self.classes_[self._logits(features).argmax(1)]
        return predictions

    def predict_proba(self, features: Features) -> Float[np.ndarray, "item class"]:
        """Probabilities in the order of `classes_`."""
        return torch.from_numpy(self._logits(features)).softmax(1).numpy()

    @property
    def chosen_(self) -> dict[str, float]:
        """The hyperparameter that validation chose."""
        return {"C": self.C_}

    @property
    def validation_(self) -> dict[str, float]:
        """What it reached on validation, before the second fit."""
        best = self.C.index(self.C_)
        return {
            "accuracy": float(self.validation_accuracy_[best]),
            "cross_entropy": float(self.validation_scores_[best]),
        }

    def score(self, features: Features, labels: Shaped[np.ndarray, "..."]) -> float:
        """Accuracy."""
        return float(np.mean(self.predict(features) == check_labels(labels, features.shape[0])))

    def _solve(
        self, problem: SoftmaxRegression, start: Vector, row: int, tolerance: float
    ) -> Vector:
        scale, limit = self.C[row] * problem.num_items, self.max_iterations
        weights, value, distance, converged = problem.minimise(
            start, 1 / scale, tolerance=tolerance, max_iterations=limit
        )
        self.objective_[row] = value * scale
        if not converged:
            self.converged_ = False
            message = (
                f"the linear probe did not reach its tolerance of {tolerance:g} for C = "
                f"{self.C[row]:g} (estimated relative distance {distance:.1e}): raise "
                f"max_iterations above {limit}"
            )
            warnings.warn(message, ConvergenceWarning, stacklevel=3)
        return weights

    def _keep(self, basis: "Basis", row: int, point: Vector) -> None:
        self.C_, self.mean_, self.scale_ = self.C[row], basis.mean, basis.scale
        self._weights = basis.weights(point)
        self.coef_ = self._weights[:, :-1] * basis.scale
        self.intercept_ = self._weights[:, -1] + self._weights[:, :-1] @ basis.mean

    def _logits(self, features: Features) -> Float[np.ndarray, "item class"]:
        features = check_any(features, len(self.mean_))
        logits: np.ndarray = features @ self._weights[:, :-1].T + self._weights[:, -1]
        return logits


@dataclass(frozen=True)
class Basis:
    """The coordinates in which a probe is solved: an exact reformulation.

    A rotation leaves an L2 penalty as it is, a scaling divides it. Standardised features are turned
    onto their principal axes and scaled to variance one, unless they are many channels of many
    items; sparse ones are scaled to a mean square of one. Channels that are constant (of sparse
    ones: zero) have weight zero at the minimum and are left out. `forward` leads from the others
    to the axes.
    """

    mean: Float[np.ndarray, " channel"]
    scale: Float[np.ndarray, " channel"]
    used: Int64[np.ndarray, " used"]
    forward: Float[np.ndarray, "used axis"] | sparse.dia_array
    penalty: Float[np.ndarray, " axis_and_one"]

    @classmethod
    def of(cls, features: Features, *, common: bool = False) -> "Basis":
        """The basis of some features; with a `common` scale, the root mean square of all."""
        if not isinstance(features, np.ndarray):
            variances = np.asarray(features.multiply(features).mean(0), dtype=np.float64)
            mean, scale = np.zeros_like(variances), np.ones_like(variances)
            used, sizes = variances.nonzero()[0], np.sqrt(variances)
        else:
            mean, sizes = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
            used = np.flatnonzero(sizes > 1e-7 * np.abs(mean) + 1e-30)
            if common:
                sizes = np.full_like(sizes, np.sqrt(np.mean(sizes**2)) or 1.0)
            scale, variances = np.ones_like(sizes), np.ones_like(sizes)
            scale[used] = sizes[used]
        sizes, variances = sizes[used], variances[used]
        forward = sparse.diags_array(1 / sizes)
        if isinstance(features, np.ndarray) and not RANK < len(used) < 2 * len(features):
            standard = (features - mean)[:, used] / sizes
            axes, variances, _ = principal(torch.from_numpy(standard))
            kept = variances > 1e-12 * variances.max(initial=1e-12)
            axes, variances = axes[:, kept], variances[kept]
            forward = axes / (sizes[:, None] * np.sqrt(variances))
        return cls(mean, scale, used, forward, np.append(1 / variances, 0.0))

    def problem(
        self, features: Features, index: Int64[np.ndarray, " item"], num_classes: int
    ) -> SoftmaxRegression:
        """The problem of labelled features in these coordinates, with ones appended."""
        shape = (features.shape[0], len(self.penalty))
        if not isinstance(features, np.ndarray):
            scaled = features[:, self.used].astype(np.float64) @ self.forward
            rows = sparse.hstack([scaled, sparse.csr_array(np.ones((shape[0], 1)))], format="csr")
            return SoftmaxRegression(rows, index, num_classes, self.penalty)
        turned = np.ones(shape, np.float64 if np.prod(shape) <= EXACT_SIZE else np.float32)
        for first in range(0, shape[0], ROWS):
            rows = slice(first, first + ROWS)
            turned[rows, :-1] = (features[rows] - self.mean)[:, self.used] @ self.forward
        correlated = sparse.issparse(self.forward)
        return SoftmaxRegression(turned, index, num_classes, self.penalty, correlated=correlated)

    def weights(self, point: Vector) -> Float[np.ndarray, "class column"]:
        """[class, channel + 1] for features as they are, the intercept last."""
        turned = point.reshape(-1, len(self.penalty))
        weights = np.zeros((len(turned), len(self.mean) + 1))
        weights[:, self.used] = turned[:, :-1] @ self.forward.T
        weights[:, -1] = turned[:, -1] - weights[:, :-1] @ self.mean
        return weights

    def point(self, weights: Float[np.ndarray, "class column"]) -> Vector:
        """The inverse of `weights`, for weights of any basis."""
        intercept = weights[:, -1] + weights[:, :-1] @ self.mean
        standard = (weights[:, :-1] * self.scale**2)[:, self.used]
        turned = standard @ self.forward / self.penalty[:-1]
        return np.column_stack([turned, intercept]).ravel()
