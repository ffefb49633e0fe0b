"""The linear probe: multinomial logistic regression, its C chosen on validation."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy import sparse
from torch.nn import functional as F

from trivium.evaluation.checks import (
    Features,
    Labels,
    check_ascending,
    check_features,
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


class ConvergenceWarning(UserWarning):
    """A probe stopped at its iteration limit before it reached its tolerance."""


class LinearProbe:
    """Multinomial logistic regression with L2, on standardised dense features or sparse ones.

    It minimises scikit-learn's `C sum_i CE_i + 1/2 ||W||^2` (the intercept is free) for one C after
    another, from the smallest, each from the minimum before. With a validation set, C is the one
    of the lowest mean validation cross-entropy (the smaller one in a tie), and the probe is fitted
    again on both sets. The C are then first solved to 1e-4, until one has a cross-entropy more
    than a tenth above the best: larger ones overfit even more and are not tried. Those within 3 %
    of the best are solved to the end. Sparse features (rows of unit length) are not standardised.

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
        validation_scores_, validation_accuracy_: Mean validation cross-entropy (nats; infinite
            where it was not tried) and accuracy (NaN there) of each C; empty without validation.
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
        check_ascending("C", C)
        self.C, self.common_scale = tuple(map(float, C)), common_scale
        self.tolerance, self.max_iterations = tolerance, max_iterations

    @torch_threads()
    def fit(
        self,
        features: Features,
        labels: Labels,
        *,
        validation: tuple[Features, Labels] | None = None,
    ) -> "LinearProbe":
        """Solve for all C; with validation, choose one and fit on both sets.

        Raises:
            ValueError: features that are not finite, lengths that do not match, fewer than two
                classes, or a validation label that no training item has.
        """
        features = check_features(features)
        self.classes_ = training_classes(check_labels(labels, features.shape[0]))
        index, num_classes = class_indices(labels, self.classes_), len(self.classes_)
        scores, accuracies, self.objective_ = np.full((3, len(self.C)), np.inf)
        self.validation_scores_ = self.validation_accuracy_ = np.empty(0)
        self.converged_ = True
        basis = Basis.of(features, common=self.common_scale)
        problem = basis.problem(features, index, num_classes)
        path = np.zeros((len(self.C) + 1, len(problem.penalty)))
        rows = list(range(len(self.C)))
        if validation is None:
            for row in rows:
                path[row + 1] = self._solve(problem, path[row], row, self.tolerance)
            self._keep(basis, rows[-1], path[-1])
            return self
        held_out = check_features(validation[0], features.shape[1])
        targets = check_labels(validation[1], held_out.shape[0])
        targets = class_indices(targets, self.classes_)
        for tolerance in (max(COARSE, self.tolerance), self.tolerance):
            for row in rows:
                start = path[row + np.isfinite(scores[row])]
                path[row + 1] = self._solve(problem, start, row, tolerance)
                self._keep(basis, row, path[row + 1])
                logits = self._logits(held_out)
                entropy = F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(targets))
                scores[row], accuracies[row] = entropy, np.mean(logits.argmax(1) == targets)
                if scores[row] > (1 + MARGIN) * scores.min():
                    break
            rows = np.flatnonzero(scores <= (1 + CLOSE) * scores.min()).tolist()
        accuracies[np.isinf(scores)] = np.nan
        self.validation_scores_, self.validation_accuracy_ = scores, accuracies
        best, objective = min(rows, key=lambda row: scores[row]), self.objective_.copy()
        both = stacked(features, held_out)
        joint = Basis.of(both, common=self.common_scale)
        problem = joint.problem(both, np.concatenate([index, targets]), num_classes)
        start = joint.point(basis.weights(path[best + 1]))
        self._keep(joint, best, self._solve(problem, start, best, self.tolerance))
        self.objective_ = objective
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

    def _solve(
        self, problem: SoftmaxRegression, start: Vector, row: int, tolerance: float
    ) -> Vector:
        scale, limit = self.C[row] * problem.num_items, self.max_iterations
        weights, value, distance, converged = problem.minimise(
            start, 1 / scale, tolerance=tolerance, max_iterations=limit
        )
        self.objective_[row] = value * scale
        self.converged_ &= converged
        if not converged:
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
        features = check_features(features, len(self.mean_))
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
            squares = np.asarray(features.multiply(features).mean(0), dtype=np.float64)
            used = squares.nonzero()[0]
            forward, penalty = sparse.diags_array(squares[used] ** -0.5), 1 / squares[used]
            zeros = np.zeros_like(squares)
            return cls(zeros, zeros + 1, used, forward, np.append(penalty, 0.0))
        mean, sizes = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
        used = np.flatnonzero(sizes > 1e-7 * np.abs(mean) + 1e-30)
        if common:
            sizes = np.full_like(sizes, np.sqrt(np.mean(sizes**2)) or 1.0)
        scale = np.ones_like(sizes)
        scale[used] = sizes = sizes[used]
        variances, forward = np.ones_like(sizes), sparse.diags_array(1 / sizes)
        if not RANK < len(used) < 2 * len(features):
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
