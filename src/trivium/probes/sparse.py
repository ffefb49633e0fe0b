"""The linear probe of sparse features, such as the words of a text."""

import warnings
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Shaped
from scipy import sparse

from trivium.probes.inputs import (
    SparseFeatures,
    check_labels,
    check_penalties,
    check_sparse,
    class_indices,
    training_classes,
)
from trivium.probes.lbfgs import minimise
from trivium.probes.linear import COARSE, MARGIN, PENALTIES, ConvergenceWarning
from trivium.probes.scaling import Scaling
from trivium.probes.sparse_softmax import SparseSoftmaxRegression

MEMORY = 10
"""Pairs that L-BFGS remembers: with a weight per word and class, each takes a while to read."""

Labelled: TypeAlias = tuple[SparseFeatures, Shaped[np.ndarray, "..."]]


class SparseLinearProbe:
    """Multinomial logistic regression with L2, on sparse features as they are.

    The same objective, choice of C and second fit as `LinearProbe`, with two differences. The
    features are not standardised: that would fill the matrix, and rows of tf-idf have unit length
    already. And the penalties are solved one after the other, each from the solution of the one
    before, until the validation cross-entropy is more than a tenth above the best: larger C
    overfit even more and are not tried.

    Args:
        penalties: Values of C, ascending.
        tolerance: Estimated relative distance of the objective to its minimum.
        max_iterations: Limit for each solve.

    Attributes:
        C_: The chosen C; without validation the largest.
        coef_: Weights [class, channel].
        intercept_: [class].
        classes_: Sorted labels.
        validation_scores_: Mean validation cross-entropy of each C (nats), infinite where it was
            not tried; or empty.
        validation_accuracy_: Validation accuracy of each C, NaN where it was not tried; or empty.
        contenders_: Whether each C was solved to the end; without validation all are.
        converged_: Whether all contenders and the second fit reached the tolerance; if not, a
            warning was given.
    """

    def __init__(
        self,
        penalties: Sequence[float] = PENALTIES,
        *,
        tolerance: float = 2.5e-7,
        max_iterations: int = 2000,
    ) -> None:
        self.penalties = check_penalties(penalties, tolerance)
        self.tolerance = tolerance
        self.max_iterations = max_iterations

    def fit(
        self,
        features: SparseFeatures,
        labels: Shaped[np.ndarray, "..."],
        *,
        validation: Labelled | None = None,
    ) -> "SparseLinearProbe":
        """Solve for the penalties; with validation, choose one and fit on both sets.

        Raises:
            ValueError: features that are not finite, lengths that do not match, fewer than two
                classes, or a validation label that no training item has.
        """
        features = check_sparse(features)
        labels = check_labels(labels, features.shape[0])
        self.classes_ = training_classes(labels)
        self.validation_scores_ = self.validation_accuracy_ = np.empty(0)
        self.contenders_ = np.ones(len(self.penalties), bool)
        self.converged_ = True
        train = _Problem(features, class_indices(labels, self.classes_), len(self.classes_))
        if validation is None:
            weights = train.zero()
            for penalty in self.penalties:
                weights = self._converge(train, weights, penalty)
            self._keep(-1, weights)
            return self
        held_out = check_sparse(validation[0], features.shape[1])
        targets = check_labels(validation[1], held_out.shape[0])
        self._select(train, held_out, class_indices(targets, self.classes_))
        return self

    def predict(self, features: SparseFeatures) -> np.ndarray:
        """The most probable class of each item."""
        predictions: np.ndarray = self.classes_[self._logits(features).argmax(1)]
        return predictions

    def predict_proba(self, features: SparseFeatures) -> Float[np.ndarray, "item class"]:
        """Probabilities in the order of `classes_`."""
        return torch.from_numpy(self._logits(features)).softmax(1).numpy()

    def score(self, features: SparseFeatures, labels: Shaped[np.ndarray, "..."]) -> float:
        """Accuracy."""
        return float(np.mean(self.predict(features) == check_labels(labels, features.shape[0])))

    def _select(self, train: "_Problem", held_out: SparseFeatures, targets: np.ndarray) -> None:
        path, scores, accuracy = [train.zero()], self._blank(np.inf), self._blank(np.nan)
        for row, penalty in enumerate(self.penalties):
            coarse = max(COARSE, self.tolerance)
            path.append(self._solve(train, path[-1], penalty, coarse)[0])
            scores[row], accuracy[row] = _score(path[-1], held_out, targets)
            if scores[row] > (1 + MARGIN) * scores.min():
                break
        self.contenders_ = scores <= (1 + MARGIN) * scores.min()
        for row in np.flatnonzero(self.contenders_).tolist():
            path[row + 1] = self._converge(train, path[row + 1], self.penalties[row])
            scores[row], accuracy[row] = _score(path[row + 1], held_out, targets)
        self.validation_scores_, self.validation_accuracy_ = scores, accuracy
        best = int(np.argmin(np.where(self.contenders_, scores, np.inf)))
        both = _Problem(
            sparse.vstack([train.features, held_out], format="csr"),
            np.concatenate([train.labels, targets]),
            train.num_classes,
        )
        self._keep(best, self._converge(both, path[best + 1], self.penalties[best]))

    def _blank(self, value: float) -> Float[np.ndarray, " penalty"]:
        return np.full(len(self.penalties), value)

    def _solve(
        self, problem: "_Problem", start: np.ndarray, penalty: float, tolerance: float
    ) -> tuple[np.ndarray, bool]:
        """Weights [class, channel + 1] at the minimum, and whether it was reached."""
        solution = minimise(
            problem.objective(penalty),
            problem.scaling.point(start),
            tolerance=tolerance,
            max_iterations=self.max_iterations,
            memory_size=MEMORY,
        )
        weights = problem.scaling.weights(solution.points, problem.num_classes)
        return weights, bool(solution.converged)

    def _converge(self, problem: "_Problem", start: np.ndarray, penalty: float) -> np.ndarray:
        weights, converged = self._solve(problem, start, penalty, self.tolerance)
        if not converged:
            self.converged_ = False
            warnings.warn(
                f"the linear probe did not reach its tolerance of {self.tolerance:g} for "
                f"C = {penalty:g}: raise max_iterations above {self.max_iterations}",
                ConvergenceWarning,
                stacklevel=3,
            )
        return weights

    def _keep(self, chosen: int, weights: np.ndarray) -> None:
        self.C_ = self.penalties[chosen]
        self.coef_, self.intercept_ = weights[:, :-1], weights[:, -1]

    def _logits(self, features: SparseFeatures) -> Float[np.ndarray, "item class"]:
        features = check_sparse(features, self.coef_.shape[1])
        logits: np.ndarray = features @ self.coef_.T + self.intercept_
        return logits


class _Problem:
    """Labelled items and the coordinates in which they are solved."""

    def __init__(self, features: SparseFeatures, labels: np.ndarray, num_classes: int) -> None:
        self.features, self.labels, self.num_classes = features, labels, num_classes
        self.scaling = Scaling.of(features)
        self._scaled = self.scaling.apply(features)

    def zero(self) -> Float[np.ndarray, "class weight"]:
        return np.zeros((self.num_classes, self.features.shape[1] + 1))

    def objective(self, penalty: float) -> SparseSoftmaxRegression:
        """The mean cross-entropy, and the L2 penalty over `penalty * items`."""
        ridge = 1 / (penalty * len(self.labels) * np.square(self.scaling.scale))
        labels = torch.from_numpy(self.labels)
        return SparseSoftmaxRegression(
            self._scaled, labels, np.append(ridge, 0.0), self.num_classes
        )


def _score(
    weights: np.ndarray, features: SparseFeatures, targets: np.ndarray
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of weights [class, channel + 1]."""
    logits = torch.from_numpy(features @ weights[:, :-1].T + weights[:, -1])
    index = torch.from_numpy(targets)
    entropy = torch.nn.functional.cross_entropy(logits, index).item()
    return entropy, (logits.argmax(1) == index).double().mean().item()
