"""Multinomial logistic regression under several penalties on the same features, in one pass."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

FLOOR = -60.0
"""Logits below it count as this, so that no product is a denormal number (they are slow)."""
CHUNK = 2048
"""Items whose logits are worked on together: with nine penalties they stay in the cache."""


class SoftmaxRegression:
    """Mean cross-entropy plus a diagonal L2 penalty, per problem; implements `lbfgs.Objective`.

    Problem p minimises over `W [class, channel]`
    `1/num_items sum_i CE(W x_i, y_i) + 1/2 sum_kj ridge[p, j] W_kj^2`.
    Start where the weights sum to zero over the classes. Logits are taken relative to the true
    class, and an item's loss is `max + log1p(sum of the others)`: so loss and gradient keep their
    relative precision when they go to zero on separable data. Products run in the dtype of the
    features, sums in float64.

    Args:
        features: White (identity second moment) up to rounding; ones give an intercept.
        labels: Class indices below `num_classes`.
        ridge: Penalty of each problem and channel.
        num_classes: Number of classes.
    """

    def __init__(
        self,
        features: Float[Tensor, "item channel"],
        labels: Int64[Tensor, " item"],
        ridge: Float[Tensor, "problem channel"],
        num_classes: int,
    ) -> None:
        self.features, self.labels, self.ridge = features, labels, ridge
        self.num_classes = num_classes
        self.noise = torch.finfo(features.dtype).eps

    def zero(self) -> Float[Tensor, "problem parameter"]:
        """Zero weights for every problem."""
        size = self.num_classes * self.features.shape[1]
        return torch.zeros(len(self.ridge), size, dtype=torch.float64)

    def restricted(self, problems: Int64[Tensor, " some"]) -> "SoftmaxRegression":
        """Some of the problems, on the same features."""
        ridge = self.ridge[problems]
        return SoftmaxRegression(self.features, self.labels, ridge, self.num_classes)

    def __call__(self, points: Tensor, problems: Tensor) -> tuple[Tensor, Tensor]:
        """Values [active] and gradients of some problems at points [active, class * channel]."""
        weights = self._by_class(points)
        flat = weights.to(self.features.dtype).flatten(0, 1)
        loss = points.new_zeros(len(problems))
        gradient = torch.zeros_like(weights).flatten(0, 1)
        for features, labels in self._chunks():
            logits = (flat @ features.mT).view(len(problems), self.num_classes, -1)
            terms, errors = losses_and_errors(logits, labels)
            loss += terms.sum(1, dtype=torch.float64)
            gradient += errors.flatten(0, 1) @ features
        gradient = gradient.view_as(weights) / len(self.labels)
        gradient -= gradient.mean(1, keepdim=True)
        penalty = self.ridge[problems, None] * weights
        values = loss / len(self.labels) + (penalty * weights).sum((1, 2)) / 2
        return values, (gradient + penalty).flatten(1)

    def metric(self, points: Tensor, problems: Tensor) -> "ClassMetric":
        """Inverse of `mean(diag(p) - p p') x I + ridge`: exact at zero weights.

        A shift of all classes together changes no probability; weights that sum to zero over the
        classes keep doing so, and the curvature of that direction is set to one.
        """
        flat = self._by_class(points).to(self.features.dtype).flatten(0, 1)
        total = points.new_zeros(len(problems), self.num_classes, self.num_classes)
        for features, _ in self._chunks():
            logits = flat @ features.mT
            shares = logits.view(-1, self.num_classes, len(features)).softmax(1)
            total += torch.diag_embed(shares.sum(2)) - shares @ shares.mT
        return ClassMetric.of(total / len(self.labels), self.ridge[problems], self.noise)

    def _chunks(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(torch.split(self.features, CHUNK), torch.split(self.labels, CHUNK), strict=True)

    def _by_class(self, points: Tensor) -> Tensor:
        return points.view(len(points), self.num_classes, -1)


def losses_and_errors(
    logits: Float[Tensor, "problem class item"], labels: Int64[Tensor, " item"]
) -> tuple[Float[Tensor, "problem item"], Float[Tensor, "problem class item"]]:
    """Cross-entropies and their derivatives by the logits, which are overwritten."""
    shares, index = logits, labels.expand(len(logits), 1, -1)
    shares -= shares.gather(1, index)
    top = shares.amax(1, keepdim=True)
    shares.sub_(top).clamp_(min=FLOOR).exp_().scatter_(1, index, 0.0)
    others = shares.sum(1, keepdim=True)
    loss = top + torch.log1p(others + torch.expm1(-top))
    total = others + torch.exp(-top)
    shares.div_(total).scatter_(1, index, -others / total)
    return loss[:, 0], shares


@dataclass(frozen=True)
class ClassMetric:
    """Inverse Hessians in the eigenbasis of the classes' covariance; see `lbfgs.Metric`."""

    vectors: Float[Tensor, "problem class direction"]
    inverse: Float[Tensor, "problem direction channel"]

    @classmethod
    def of(
        cls,
        covariance: Float[Tensor, "problem class class"],
        ridge: Float[Tensor, "problem channel"],
        noise: float,
    ) -> "ClassMetric":
        """Of the mean covariance of the classes; along the shift of all of them it is one."""
        shared = torch.full_like(covariance, 1 / covariance.shape[1])
        curvature, vectors = torch.linalg.eigh(covariance + shared)
        curvature = curvature.clamp_min(noise)[..., None] + ridge[:, None]
        return cls(vectors, curvature.reciprocal())

    def apply(self, vectors: Tensor) -> Tensor:
        """Multiply vectors [problem, vector, class * channel]."""
        by_class = vectors.reshape(*vectors.shape[:2], self.vectors.shape[1], -1)
        turned = (self.vectors.mT[:, None] @ by_class) * self.inverse[:, None]
        product: Tensor = self.vectors[:, None] @ turned
        return product.flatten(2)

    def keep(self, rows: Tensor) -> "ClassMetric":
        """The metric of some of the problems."""
        return ClassMetric(self.vectors[rows], self.inverse[rows])
