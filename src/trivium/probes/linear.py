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
    check_labels,
    check_C,
    class_indices,
    training_classes,
)
from trivium.probes.solver import RANK, SoftmaxRegression, Solution

VALUES_OF_C = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4)
COARSE, MARGIN = 1e-4, 0.1
EXACT_SIZE = 400_000
"""Feature values up to which all products run in float64: small sets cost little."""
ROWS = 4096

Features: TypeAlias = Shaped[np.ndarray, "_ channel"] | SparseFeatures
Labelled: TypeAlias = tuple[Features, Shaped[np.ndarray, "..."]]


class ConvergenceWarning(UserWarning):
    """A probe stopped at its iteration limit before it reached its tolerance."""


class LinearProbe:
    """Multinomial logistic regression with L2, on standardised dense features or sparse ones.

    For each C it minimises scikit-learn's `C sum_i CE_i + 1/2 ||W||^2` (the intercept is free),
    each from the solution before. With a validation set, C is the one of the lowest mean
    validation cross-entropy (the smaller one in a tie), and the probe is fitted again on both sets
    together. The C are then first solved to a coarse tolerance (1e-4), from the smallest, until
    one has a cross-entropy more than a tenth above the best: larger ones overfit even more and are
    not tried. Those within a tenth of the best are the contenders; they alone are solved to the
    end. Sparse features are not standardised: that would fill the matrix, and rows of tf-idf have
    unit length already.

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
        contenders_: Whether each C was solved to the end; without validation all are.
        objective_: Value of `C sum_i CE_i + 1/2 ||W||^2` at each C, before the second fit.
        num_iterations_: L-BFGS iterations of each C, before the second fit.
        converged_: Whether all contenders and the second fit reached the tolerance; if not, a
            warning was given.
    """

    def __init__(
        self,
        C: Sequence[float] = VALUES_OF_C,
        *,
        tolerance: float = 5e-8,
        max_iterations: int = 2000,
        common_scale: bool = False,
    ) -> None:
        self.C = check_C(C, tolerance)
        self.tolerance = tolerance
        self.max_iterations = max_iterations
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
        labels = check_labels(labels, features.shape[0])
        self.classes_ = training_classes(labels)
        index = class_indices(labels, self.classes_)
        count = len(self.C)
        self.contenders_ = np.ones(count, bool)
        self.validation_scores_ = self.validation_accuracy_ = np.empty(0)
        self.objective_, self.num_iterations_ = np.full(count, np.inf), np.zeros(count, int)
        self.converged_ = True
        basis = Basis.of(features, common=self.common_scale)
        problem = basis.problem(features, index, len(self.classes_))
        self._path: list[np.ndarray] = [np.zeros(len(problem.penalty))]
        if validation is None:
            for row in range(count):
                self._path.append(self._solve(problem, row, self._path[-1], self.tolerance).weights)
            self._keep(basis, -1, self._path[-1])
            return self
        held_out = check_any(validation[0], features.shape[1])
        targets = check_labels(validation[1], held_out.shape[0])
        targets = class_indices(targets, self.classes_)
        best, weights = self._select(basis, problem, held_out, targets)
        both = _stacked(features, held_out)
        joint = Basis.of(both, common=self.common_scale)
        problem = joint.problem(both, np.concatenate([index, targets]), len(self.classes_))
        second = self._solve(problem, best, joint.point(weights), self.tolerance, keep=False)
        self._keep(joint, best, second.weights)
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

    def _select(
        self,
        basis: "Basis",
        problem: SoftmaxRegression,
        held_out: Features,
        targets: Int64[np.ndarray, " item"],
    ) -> tuple[int, Float[np.ndarray, "class weight"]]:
        """The row of the best C, and its weights for features as they are."""
        scores = np.full(len(self.C), np.inf)
        accuracies, natural = np.full(len(scores), np.nan), []
        for row in range(len(scores)):
            coarse = self._solve(problem, row, self._path[-1], max(COARSE, self.tolerance))
            self._path.append(coarse.weights)
            natural.append(basis.weights(coarse.weights, len(self.classes_)))
            scores[row], accuracies[row] = _score(natural[row], held_out, targets)
            if scores[row] > (1 + MARGIN) * scores.min():
                break
        self.contenders_ = scores <= (1 + MARGIN) * scores.min()
        for row in np.flatnonzero(self.contenders_).tolist():
            fine = self._solve(problem, row, self._path[row + 1], self.tolerance)
            natural[row] = basis.weights(fine.weights, len(self.classes_))
            scores[row], accuracies[row] = _score(natural[row], held_out, targets)
        self.validation_scores_, self.validation_accuracy_ = scores, accuracies
        best = int(np.argmin(np.where(self.contenders_, scores, np.inf)))
        return best, natural[best]

    def _solve(
        self,
        problem: SoftmaxRegression,
        row: int,
        start: np.ndarray,
        tolerance: float,
        *,
        keep: bool = True,
    ) -> Solution:
        scale = self.C[row] * problem.num_items
        solution = problem.minimise(
            start, 1 / scale, tolerance=tolerance, max_iterations=self.max_iterations
        )
        if keep:
            self.objective_[row] = solution.value * scale
            self.num_iterations_[row] += solution.num_iterations
        if not solution.converged:
            self.converged_ = False
            warnings.warn(
                f"the linear probe did not reach its tolerance of {self.tolerance:g} for C = "
                f"{self.C[row]:g} (estimated relative distance "
                f"{solution.decrement:.1e}): raise max_iterations above {self.max_iterations}",
                ConvergenceWarning,
                stacklevel=3,
            )
        return solution

    def _keep(self, basis: "Basis", chosen: int, point: np.ndarray) -> None:
        self.C_, self.mean_, self.scale_ = self.C[chosen], basis.mean, basis.scale
        self._weights = basis.weights(point, len(self.classes_))
        self.coef_ = self._weights[:, :-1] * basis.scale
        self.intercept_ = self._weights[:, -1] + self._weights[:, :-1] @ basis.mean

    def _logits(self, features: Features) -> Float[np.ndarray, "item class"]:
        features = check_any(features, len(self.mean_))
        logits: np.ndarray = features @ self._weights[:, :-1].T + self._weights[:, -1]
        return logits


@dataclass(frozen=True)
class Basis:
    """The coordinates in which a probe is solved, an exact reformulation.

    A rotation leaves an L2 penalty as it is, and a scaling divides it. So up to `RANK` channels,
    or twice as many as items, standardised features are turned onto their principal axes and
    scaled to variance one: their Hessian is close to the identity over the channels. Of more
    channels the axes cost too much. Sparse features are scaled to a mean square of one; a channel
    that no item uses has weight zero at the minimum, so leaving it out changes nothing.

    `forward` and `back` are [used channel, axis], or [used channel] where nothing is turned.
    """

    mean: Float[np.ndarray, " channel"]
    scale: Float[np.ndarray, " channel"]
    used: Int64[np.ndarray, " used"]
    forward: Float[np.ndarray, "..."]
    back: Float[np.ndarray, "..."]
    penalty: Float[np.ndarray, " axis_and_one"]

    @classmethod
    def of(cls, features: Features, *, common: bool = False) -> "Basis":
        """The basis of some features.

        With a `common` scale, the root mean square of all standard deviations, channels keep
        their sizes relative to each other; else each has a standard deviation of one.
        """
        if not isinstance(features, np.ndarray):
            squares = np.asarray(features.multiply(features).mean(0), dtype=np.float64)
            used, size = np.flatnonzero(squares), np.sqrt(squares[squares > 0])
            zeros, ones = np.zeros(len(squares)), np.ones(len(squares))
            return cls(zeros, ones, used, 1 / size, size, np.append(1 / squares[used], 0.0))
        mean, scale = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
        used = np.flatnonzero(scale > 1e-7 * np.abs(mean) + 1e-30)
        if common:
            scale = np.full_like(scale, np.sqrt(np.mean(scale**2)) or 1.0)
        whole = np.ones_like(scale)
        whole[used] = scale[used]
        size = scale[used]
        if not len(used) or (len(used) > RANK and len(features) > len(used) / 2):
            return cls(mean, whole, used, 1 / size, size, np.append(np.ones(len(used)), 0.0))
        variances, axes = _principal((features[:, used] - mean[used]) / size)
        forward = axes / (size[:, None] * np.sqrt(variances))
        back = axes * size[:, None] * np.sqrt(variances)
        return cls(mean, whole, used, forward, back, np.append(1 / variances, 0.0))

    def problem(
        self, features: Features, index: Int64[np.ndarray, " item"], num_classes: int
    ) -> SoftmaxRegression:
        """The problem in these coordinates."""
        labels = torch.from_numpy(index)
        white = self.forward.ndim == 2 or not isinstance(features, np.ndarray)
        turned = self._turned(features)
        return SoftmaxRegression(turned, labels, num_classes, self.penalty, white=white)

    def weights(self, point: np.ndarray, num_classes: int) -> Float[np.ndarray, "class weight"]:
        """[class, channel + 1] for features as they are, the intercept last."""
        turned = point.reshape(num_classes, -1)
        weights = np.zeros((num_classes, len(self.mean) + 1))
        if self.forward.ndim == 2:
            weights[:, self.used] = turned[:, :-1] @ self.forward.T
        else:
            weights[:, self.used] = turned[:, :-1] * self.forward
        weights[:, -1] = turned[:, -1] - weights[:, :-1] @ self.mean
        return weights

    def point(self, weights: Float[np.ndarray, "class weight"]) -> np.ndarray:
        """The inverse of `weights`, for weights of any basis."""
        used = weights[:, self.used]
        turned = used @ self.back if self.back.ndim == 2 else used * self.back
        intercept = weights[:, -1] + weights[:, :-1] @ self.mean
        return np.concatenate([turned, intercept[:, None]], 1).ravel()

    def _turned(self, features: Features) -> torch.Tensor | SparseFeatures:
        """Features in these coordinates, with ones appended, in the dtype of the solver."""
        if not isinstance(features, np.ndarray):
            scaled = features[:, self.used].astype(np.float64) @ sparse.diags_array(self.forward)
            ones = sparse.csr_array(np.ones((features.shape[0], 1)))
            return sparse.hstack([scaled, ones], format="csr")
        shape = len(features), len(self.penalty)
        exact = shape[0] * shape[1] <= EXACT_SIZE
        turned = np.ones(shape, np.float64 if exact else np.float32)
        for first in range(0, len(features), ROWS):
            rows = slice(first, first + ROWS)
            centred = features[rows, self.used] - self.mean[self.used]
            matrix = self.forward.ndim == 2
            turned[rows, :-1] = centred @ self.forward if matrix else centred * self.forward
        return torch.from_numpy(turned)


def _principal(standard: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances and axes [channel, axis] of centred features, without those of no variance.

    Few items of many channels span few axes: there the items' products are decomposed.
    """
    num_items, num_channels = standard.shape
    if num_items > num_channels / 2:
        variances, axes = np.linalg.eigh(standard.T @ standard / num_items)
        kept = variances > 1e-12 * variances[-1]
        return variances[kept], axes[:, kept]
    variances, turn = np.linalg.eigh(standard @ standard.T / num_items)
    kept = variances > 1e-10 * variances[-1]
    variances = variances[kept]
    return variances, standard.T @ (turn[:, kept] / np.sqrt(variances * num_items))


def _stacked(first: Features, second: Features) -> Features:
    if isinstance(first, np.ndarray):
        return np.concatenate([first, second])
    return sparse.vstack([first, second], format="csr")


def _score(
    weights: Float[np.ndarray, "class weight"],
    features: Features,
    targets: Int64[np.ndarray, " item"],
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of weights [class, channel + 1]."""
    logits = torch.from_numpy(features @ weights[:, :-1].T + weights[:, -1])
    index = torch.from_numpy(targets)
    entropy = torch.nn.functional.cross_entropy(logits, index).item()
    return entropy, (logits.argmax(1) == index).double().mean().item()
