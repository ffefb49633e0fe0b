"""The linear probe: multinomial logistic regression for a whole grid of penalties at once."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped

from trivium.probes.inputs import check_features, check_labels, class_indices, training_classes
from trivium.probes.lbfgs import Solution, minimise
from trivium.probes.softmax import SoftmaxRegression

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4)
EXACT_SIZE = 400_000
"""Feature values up to which all products run in float64: small sets cost little."""
RANK = 1e-12

Labelled = tuple[Shaped[np.ndarray, "held_out channel"], Shaped[np.ndarray, "..."]]


class ConvergenceWarning(UserWarning):
    """A probe stopped at its iteration limit before it reached its tolerance."""


@dataclass(frozen=True)
class _Basis:
    """Standardised features turned onto their principal axes and scaled to variance one.

    A rotation leaves an L2 penalty as it is and the scaling divides it by the variances, so the
    problem is the same, but its Hessian is close to the identity over the channels.
    """

    mean: Float[np.ndarray, " channel"]
    scale: Float[np.ndarray, " channel"]
    axes: Float[np.ndarray, "channel axis"]
    variances: Float[np.ndarray, " axis"]

    @classmethod
    def of(cls, features: Float[np.ndarray, "item channel"]) -> "_Basis":
        mean = features.mean(0, dtype=np.float64)
        scale = features.std(0, dtype=np.float64)
        constant = scale <= 1e-7 * np.abs(mean) + 1e-30
        scale = np.where(constant, 1.0, scale)
        standard = torch.from_numpy(np.where(constant, 0.0, (features - mean) / scale))
        variances, axes = torch.linalg.eigh(standard.mT @ standard / len(standard))
        used = variances > RANK * variances[-1].clamp_min(RANK)
        return cls(mean, scale, axes[:, used].numpy(), variances[used].numpy())

    def whiten(self, features: Float[np.ndarray, "item channel"]) -> torch.Tensor:
        """Features on the axes, with ones appended, in the dtype of the solver."""
        turn = self.axes / (self.scale[:, None] * np.sqrt(self.variances))
        white = np.empty((len(features), turn.shape[1] + 1))
        np.matmul(features - self.mean, turn, out=white[:, :-1])
        white[:, -1] = 1.0
        exact = white.size <= EXACT_SIZE
        return torch.from_numpy(white if exact else white.astype(np.float32))

    def weights(self, points: torch.Tensor, num_classes: int) -> np.ndarray:
        """[problem, class, channel + 1] for standardised features, the intercept last."""
        turned = points.numpy().reshape(len(points), num_classes, -1)
        coefficients = (turned[..., :-1] / np.sqrt(self.variances)) @ self.axes.T
        return np.concatenate([coefficients, turned[..., -1:]], -1)

    def points(self, weights: np.ndarray, other: "_Basis") -> torch.Tensor:
        """The inverse of `weights`, for weights [class, channel + 1] of another basis."""
        raw = weights[:, :-1] / other.scale
        intercept = weights[:, -1:] + (raw @ (self.mean - other.mean))[:, None]
        turned = ((raw * self.scale) @ self.axes) * np.sqrt(self.variances)
        return torch.from_numpy(np.concatenate([turned, intercept], 1).reshape(1, -1))


class LinearProbe:
    """Multinomial logistic regression with L2, on standardised features.

    For each penalty C it minimises scikit-learn's `C sum_i CE_i + 1/2 ||W||^2` (the intercept is
    free) until the objective is within `tolerance` of its minimum. All C are solved in one batched
    L-BFGS. With a validation set, C is the one of the lowest mean validation cross-entropy (the
    smaller one in a tie), and the probe is fitted again on both sets together.

    Args:
        penalties: Values of C, ascending; without validation there must be one.
        tolerance: Estimated relative distance of the objective to its minimum.
        max_iterations: Limit for each solve.

    Attributes:
        C_: The chosen C.
        coef_: Weights [class, channel] for standardised features.
        intercept_: [class].
        mean_: Mean [channel] of the features that it was fitted on.
        scale_: Standard deviation [channel]; 1 where a channel is constant.
        classes_: Sorted labels.
        validation_scores_: Mean validation cross-entropy of each C (nats); or empty.
        validation_accuracy_: Validation accuracy of each C; or empty.
        path_coef_: Weights [penalty, class, channel] of each C before the second fit.
        path_intercept_: [penalty, class].
        objective_: Value of `C sum_i CE_i + 1/2 ||W||^2` at each C, on the first fit.
        num_iterations_: L-BFGS iterations of each C, on the first fit.
        converged_: Whether every solve reached the tolerance; if not, a warning was given.
    """

    def __init__(
        self,
        penalties: Sequence[float] = PENALTIES,
        *,
        tolerance: float = 1e-6,
        max_iterations: int = 1000,
    ) -> None:
        if not penalties or min(penalties) <= 0 or list(penalties) != sorted(set(penalties)):
            raise ValueError(f"penalties must be positive and ascending, got {list(penalties)}")
        if tolerance <= 0:
            raise ValueError(f"tolerance must be positive, got {tolerance}")
        self.penalties = tuple(float(penalty) for penalty in penalties)
        self.tolerance = tolerance
        self.max_iterations = max_iterations

    def fit(
        self,
        features: Shaped[np.ndarray, "item channel"],
        labels: Shaped[np.ndarray, "..."],
        *,
        validation: Labelled | None = None,
    ) -> "LinearProbe":
        """Solve for all penalties; with validation, choose one and fit on both sets.

        Without validation and with several penalties, the fit ends with the path: `C_`,
        `coef_` and `intercept_` are then those of the largest C.

        Raises:
            ValueError: features that are not finite, lengths that do not match, fewer than two
                classes, or a validation label that no training item has.
        """
        features = check_features(features)
        labels = check_labels(labels, len(features))
        self.classes_ = training_classes(labels)
        targets = class_indices(labels, self.classes_)
        basis = _Basis.of(features)
        solution = self._solve(basis, features, targets, self.penalties)
        path = basis.weights(solution.points, len(self.classes_))
        self.path_coef_, self.path_intercept_ = path[..., :-1], path[..., -1]
        self.objective_ = solution.values.numpy() * np.array(self.penalties) * len(features)
        self.num_iterations_ = solution.num_iterations.numpy()
        self.validation_scores_ = self.validation_accuracy_ = np.empty(0)
        self._keep(basis, self.penalties[-1], path[-1])
        if validation is not None:
            self._select(basis, path, (features, targets), validation)
        return self

    def predict(self, features: Shaped[np.ndarray, "item channel"]) -> np.ndarray:
        """The most probable class of each item."""
        predictions: np.ndarray = self.classes_[self._logits(features).argmax(1)]
        return predictions

    def predict_proba(
        self, features: Shaped[np.ndarray, "item channel"]
    ) -> Float[np.ndarray, "item class"]:
        """Probabilities in the order of `classes_`."""
        return torch.from_numpy(self._logits(features)).softmax(1).numpy()

    def score(
        self, features: Shaped[np.ndarray, "item channel"], labels: Shaped[np.ndarray, "..."]
    ) -> float:
        """Accuracy."""
        return float(np.mean(self.predict(features) == check_labels(labels, len(features))))

    def _select(
        self,
        basis: _Basis,
        path: np.ndarray,
        train: tuple[np.ndarray, Int64[np.ndarray, " item"]],
        validation: Labelled,
    ) -> None:
        held_out = check_features(validation[0], train[0].shape[1])
        labels = check_labels(validation[1], len(held_out))
        targets = class_indices(labels, self.classes_)
        scores = _scores(basis, path, held_out, targets)
        self.validation_scores_, self.validation_accuracy_ = scores
        best = int(np.argmin(self.validation_scores_))
        features = np.concatenate([train[0], held_out])
        both = _Basis.of(features)
        penalty, start = self.penalties[best], both.points(path[best], basis)
        converged = self.converged_
        everything = np.concatenate([train[1], targets])
        solution = self._solve(both, features, everything, (penalty,), start)
        self.converged_ &= converged
        self._keep(both, penalty, both.weights(solution.points, len(self.classes_))[0])

    def _solve(
        self,
        basis: _Basis,
        features: np.ndarray,
        targets: Int64[np.ndarray, " item"],
        penalties: Sequence[float],
        start: torch.Tensor | None = None,
    ) -> Solution:
        white, num_classes = basis.whiten(features), len(self.classes_)
        ridge = np.zeros((len(penalties), white.shape[1]))
        ridge[:, :-1] = 1 / (np.array(penalties)[:, None] * len(features) * basis.variances)
        objective = SoftmaxRegression(
            white, torch.from_numpy(targets), torch.from_numpy(ridge), num_classes
        )
        if start is None:
            shape = (len(penalties), num_classes * white.shape[1])
            start = torch.zeros(shape, dtype=torch.float64)
        solution = minimise(
            objective, start, tolerance=self.tolerance, max_iterations=self.max_iterations
        )
        self.converged_ = bool(solution.converged.all())
        if not self.converged_:
            late = [c for c, ok in zip(penalties, solution.converged, strict=True) if not ok]
            warnings.warn(
                f"the linear probe did not reach its tolerance of {self.tolerance:g} for C in "
                f"{late} (estimated relative distance {float(solution.decrement.max()):.1e}): "
                f"raise max_iterations above {self.max_iterations}",
                ConvergenceWarning,
                stacklevel=4,
            )
        return solution

    def _keep(self, basis: _Basis, penalty: float, weights: np.ndarray) -> None:
        self.C_, self.mean_, self.scale_ = penalty, basis.mean, basis.scale
        self.coef_, self.intercept_ = weights[:, :-1], weights[:, -1]

    def _logits(self, features: np.ndarray) -> Float[np.ndarray, "item class"]:
        features = check_features(features, len(self.mean_))
        standard = (features - self.mean_) / self.scale_
        logits: np.ndarray = standard @ self.coef_.T + self.intercept_
        return logits


def _scores(
    basis: _Basis,
    path: np.ndarray,
    features: np.ndarray,
    targets: Int64[np.ndarray, " item"],
) -> tuple[Float[np.ndarray, " penalty"], Float[np.ndarray, " penalty"]]:
    """Mean cross-entropy and accuracy of each problem's weights [problem, class, channel + 1]."""
    standard, index = (features - basis.mean) / basis.scale, torch.from_numpy(targets)
    entropies, accuracies = [], []
    for weights in path:
        logits = torch.from_numpy(standard @ weights[:, :-1].T + weights[:, -1])
        entropies.append(torch.nn.functional.cross_entropy(logits, index).item())
        accuracies.append((logits.argmax(1) == index).double().mean().item())
    return np.array(entropies), np.array(accuracies)
