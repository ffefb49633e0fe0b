"""Multinomial logistic regression on sparse features, one penalty at a time."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from trivium.probes.inputs import SparseFeatures
from trivium.probes.softmax import ClassMetric, losses_and_errors


class SparseSoftmaxRegression:
    """`SoftmaxRegression` of a single problem on sparse features; implements `lbfgs.Objective`.

    Its metric is a good one where the channels' mean squares are one and their products small, as
    those of rare words are. Everything runs in float64.

    Args:
        features: [item, channel] of mean square one; ones give an intercept.
        labels: Class indices below `num_classes`.
        ridge: Penalty of each channel.
        num_classes: Number of classes.
    """

    def __init__(
        self,
        features: SparseFeatures,
        labels: Int64[Tensor, " item"],
        ridge: Float[np.ndarray, " channel"],
        num_classes: int,
    ) -> None:
        self.features, self.labels = features, labels
        self.ridge = torch.from_numpy(ridge)[None]
        self.num_classes = num_classes
        self.noise = float(np.finfo(np.float64).eps)

    def __call__(self, points: Tensor, problems: Tensor) -> tuple[Tensor, Tensor]:
        """Value [1] and gradient [1, class * channel] at a point; `problems` is [0]."""
        weights = points.view(self.num_classes, -1)
        loss, errors = losses_and_errors(self._logits(points).mT.contiguous()[None], self.labels)
        gradient = torch.from_numpy(self.features.T @ errors[0].mT.contiguous().numpy())
        gradient = gradient.mT / len(self.labels)
        gradient = gradient - gradient.mean(0, keepdim=True)
        penalty = self.ridge[problems] * weights
        values = loss.sum(1) / len(self.labels) + (penalty * weights).sum() / 2
        return values, (gradient + penalty).reshape(1, -1)

    def metric(self, points: Tensor, problems: Tensor) -> ClassMetric:
        """Inverse of `mean(diag(p) - p p') x I + ridge`."""
        shares = self._logits(points).softmax(1)
        covariance = torch.diag(shares.sum(0)) - shares.mT @ shares
        mean = covariance[None] / len(self.labels)
        return ClassMetric.of(mean, self.ridge[problems], self.noise)

    def _logits(self, points: Tensor) -> Float[Tensor, "item class"]:
        weights = points.view(self.num_classes, -1)
        return torch.from_numpy(self.features @ weights.mT.contiguous().numpy())
