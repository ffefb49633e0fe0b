"""The linear probe: multinomial logistic regression for a whole grid of penalties at once."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Shaped

from trivium.probes.basis import Basis
from trivium.probes.inputs import (
    check_features,
    check_labels,
    check_penalties,
    class_indices,
    training_classes,
)
from trivium.probes.lbfgs import Solution, minimise
from trivium.probes.softmax import SoftmaxRegression

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4)
COARSE = 1e-4
MARGIN = 0.1
WAVE = 3
"""Penalties that are solved together before it is known whether larger ones are worth trying."""

Labelled = tuple[Shaped[np.ndarray, "_ channel"], Shaped[np.ndarray, "..."]]


class ConvergenceWarning(UserWarning):
    """A probe stopped at its iteration limit before it reached its tolerance."""


class LinearProbe:
    """Multinomial logistic regression with L2, on standardised features.

    For each penalty C it minimises scikit-learn's `C sum_i CE_i + 1/2 ||W||^2` (the intercept is
    free), all C in one batched L-BFGS. With a validation set, C is the one of the lowest mean
    validation cross-entropy (the smaller one in a tie), and the probe is fitted again on both sets
    together. The C are then first solved to a coarse tolerance (1e-4), three at a time from the
    smallest, until the last of three has a cross-entropy more than a tenth above the best: larger
    ones overfit even more and are not tried. Those within a tenth of the best are the contenders;
    they alone are solved to the end.

    Args:
        penalties: Values of C, ascending.
        tolerance: Estimated relative distance of the objective to its minimum. The estimate is
            local: where C is large and the classes nearly separate, the true distance is up to
            two orders of magnitude larger (the default keeps it below 1e-4).
        max_iterations: Limit for each solve.
        common_scale: Whether features are centred and all scaled by one number, instead of each
            to a standard deviation of one.

    Attributes:
        C_: The chosen C; without validation the largest.
        coef_: Weights [class, channel] for standardised features.
        intercept_: [class].
        mean_: Mean [channel] of the features that it was fitted on.
        scale_: Standard deviation [channel]; 1 where a channel is constant.
        classes_: Sorted labels.
        validation_scores_: Mean validation cross-entropy of each C (nats), infinite where it was
            not tried; or empty.
        validation_accuracy_: Validation accuracy of each C, NaN where it was not tried; or empty.
        contenders_: Whether each C was solved to the end; without validation all are.
        path_coef_: Weights [penalty, class, channel] of each C before the second fit, zero where it
            was not tried.
        path_intercept_: [penalty, class].
        objective_: Value of `C sum_i CE_i + 1/2 ||W||^2` at each C, before the second fit.
        num_iterations_: L-BFGS iterations of each C, before the second fit.
        converged_: Whether all contenders and the second fit reached the tolerance; if not, a
            warning was given.
    """

    def __init__(
        self,
        penalties: Sequence[float] = PENALTIES,
        *,
        tolerance: float = 2.5e-7,
        max_iterations: int = 2000,
        common_scale: bool = False,
    ) -> None:
        self.penalties = check_penalties(penalties, tolerance)
        self.tolerance = tolerance
        self.max_iterations = max_iterations
        self.common_scale = common_scale

    def fit(
        self,
        features: Shaped[np.ndarray, "item channel"],
        labels: Shaped[np.ndarray, "..."],
        *,
        validation: Labelled | None = None,
    ) -> "LinearProbe":
        """Solve for all penalties; with validation, choose one and fit on both sets.

        Raises:
            ValueError: features that are not finite, lengths that do not match, fewer than two
                classes, or a validation label that no training item has.
        """
        features = check_features(features)
        labels = check_labels(labels, len(features))
        self.classes_ = training_classes(labels)
        train = (features, class_indices(labels, self.classes_))
        self.contenders_ = np.ones(len(self.penalties), bool)
        self.validation_scores_ = self.validation_accuracy_ = np.empty(0)
        self.converged_ = True
        basis = Basis.of(features, common=self.common_scale)
        problem = self._problem(basis, train, self.penalties)
        solution = Solution.at(problem.zero())
        if validation is None:
            path = self._finish(basis, problem, solution)
            self._keep(basis, -1, path[-1])
            return self
        held_out = check_features(validation[0], features.shape[1])
        targets = class_indices(check_labels(validation[1], len(held_out)), self.classes_)
        self._select(basis, problem, solution, train, (held_out, targets))
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
        basis: Basis,
        problem: SoftmaxRegression,
        solution: Solution,
        train: Labelled,
        held_out: Labelled,
    ) -> None:
        scores = np.full(len(self.penalties), np.inf)
        for rows in np.split(np.arange(len(scores)), range(WAVE, len(scores), WAVE)):
            wave = torch.from_numpy(rows)
            found = minimise(
                problem.restricted(wave),
                solution.points[wave],
                tolerance=max(COARSE, self.tolerance),
                max_iterations=self.max_iterations,
            )
            solution.take(wave, found)
            path = basis.weights(found.points, len(self.classes_))
            scores[rows], _ = _scores(basis, path, held_out)
            if scores[rows[-1]] > (1 + MARGIN) * scores.min():
                break
        self.contenders_ = scores <= (1 + MARGIN) * scores.min()
        path = self._finish(basis, problem, solution)
        tried = np.isfinite(scores)
        entropies, accuracies = _scores(basis, path, held_out)
        self.validation_scores_ = np.where(tried, entropies, np.inf)
        self.validation_accuracy_ = np.where(tried, accuracies, np.nan)
        eligible = np.where(self.contenders_, self.validation_scores_, np.inf)
        best = int(np.argmin(eligible))
        both = (np.concatenate([train[0], held_out[0]]), np.concatenate([train[1], held_out[1]]))
        joint = Basis.of(both[0], common=self.common_scale)
        last = self._problem(joint, both, self.penalties[best : best + 1])
        second = self._converge(last, joint.points(path[best], basis), self.penalties[best:])
        self._keep(joint, best, joint.weights(second.points, len(self.classes_))[0])

    def _problem(
        self, basis: Basis, items: Labelled, penalties: Sequence[float]
    ) -> SoftmaxRegression:
        white = basis.whiten(items[0])
        ridge = np.zeros((len(penalties), white.shape[1]))
        ridge[:, :-1] = 1 / (np.array(penalties)[:, None] * len(white) * basis.variances)
        labels = torch.from_numpy(items[1])
        return SoftmaxRegression(white, labels, torch.from_numpy(ridge), len(self.classes_))

    def _finish(self, basis: Basis, problem: SoftmaxRegression, solution: Solution) -> np.ndarray:
        """Solve the contenders to the end; the weights [penalty, class, channel + 1] of all."""
        rows = torch.from_numpy(np.flatnonzero(self.contenders_))
        penalties = [self.penalties[row] for row in rows]
        fine = self._converge(problem.restricted(rows), solution.points[rows], penalties)
        solution.take(rows, fine)
        scale = np.array(self.penalties) * len(problem.labels)
        self.objective_ = solution.values.numpy() * scale
        self.num_iterations_ = solution.num_iterations.numpy()
        path = basis.weights(solution.points, len(self.classes_))
        self.path_coef_, self.path_intercept_ = path[..., :-1], path[..., -1]
        return path

    def _converge(
        self, problem: SoftmaxRegression, start: torch.Tensor, penalties: Sequence[float]
    ) -> Solution:
        solution = minimise(
            problem, start, tolerance=self.tolerance, max_iterations=self.max_iterations
        )
        late = [c for c, ok in zip(penalties, solution.converged, strict=False) if not ok]
        if late:
            self.converged_ = False
            warnings.warn(
                f"the linear probe did not reach its tolerance of {self.tolerance:g} for C in "
                f"{late} (estimated relative distance {float(solution.decrement.max()):.1e}): "
                f"raise max_iterations above {self.max_iterations}",
                ConvergenceWarning,
                stacklevel=4,
            )
        return solution

    def _keep(self, basis: Basis, chosen: int, weights: np.ndarray) -> None:
        self.C_, self.mean_, self.scale_ = self.penalties[chosen], basis.mean, basis.scale
        self.coef_, self.intercept_ = weights[:, :-1], weights[:, -1]

    def _logits(self, features: np.ndarray) -> Float[np.ndarray, "item class"]:
        features = check_features(features, len(self.mean_))
        standard = (features - self.mean_) / self.scale_
        logits: np.ndarray = standard @ self.coef_.T + self.intercept_
        return logits


def _scores(
    basis: Basis, path: np.ndarray, held_out: Labelled
) -> tuple[Float[np.ndarray, " penalty"], Float[np.ndarray, " penalty"]]:
    """Mean cross-entropy and accuracy of each problem's weights [problem, class, channel + 1]."""
    standard = (held_out[0] - basis.mean) / basis.scale
    index, entropies, accuracies = torch.from_numpy(held_out[1]), [], []
    for weights in path:
        logits = torch.from_numpy(standard @ weights[:, :-1].T + weights[:, -1])
        entropies.append(torch.nn.functional.cross_entropy(logits, index).item())
        accuracies.append((logits.argmax(1) == index).double().mean().item())
    return np.array(entropies), np.array(accuracies)
