"""The coordinates in which a linear probe is solved."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

EXACT_SIZE = 400_000
"""Feature values up to which all products run in float64: small sets cost little."""
RANK = 1e-12


@dataclass(frozen=True)
class Basis:
    """Scaled features turned onto their principal axes and scaled to variance one.

    A rotation leaves an L2 penalty as it is and the scaling divides it by the variances, so the
    problem is the same, but its Hessian is close to the identity over the channels.
    """

    mean: Float[np.ndarray, " channel"]
    scale: Float[np.ndarray, " channel"]
    axes: Float[np.ndarray, "channel axis"]
    variances: Float[np.ndarray, " axis"]

    @classmethod
    def of(cls, features: Float[np.ndarray, "item channel"], *, common: bool = False) -> "Basis":
        """The basis of some features; constant channels have scale 1 and no axis.

        With a `common` scale, the root mean square of all standard deviations, channels keep
        their sizes relative to each other; else each has a standard deviation of one.
        """
        mean = features.mean(0, dtype=np.float64)
        scale = features.std(0, dtype=np.float64)
        constant = scale <= 1e-7 * np.abs(mean) + 1e-30
        if common:
            scale = np.full_like(scale, np.sqrt(np.mean(scale**2)) or 1.0)
        scale = np.where(constant, 1.0, scale)
        standard = torch.from_numpy(np.where(constant, 0.0, (features - mean) / scale))
        variances, axes = _principal(standard)
        used = variances > RANK * variances.max().clamp_min(RANK)
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

    def points(self, weights: np.ndarray, other: "Basis") -> torch.Tensor:
        """The inverse of `weights`, for weights [class, channel + 1] of another basis."""
        raw = weights[:, :-1] / other.scale
        intercept = weights[:, -1:] + (raw @ (self.mean - other.mean))[:, None]
        turned = ((raw * self.scale) @ self.axes) * np.sqrt(self.variances)
        return torch.from_numpy(np.concatenate([turned, intercept], 1).reshape(1, -1))


def _principal(standard: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Variances and axes [channel, axis] of centred features.

    Few items of many channels span few axes: there a decomposition of the items is cheaper than
    one of the channels' covariance.
    """
    num_items, num_channels = standard.shape
    if num_items >= num_channels:
        variances, axes = torch.linalg.eigh(standard.mT @ standard / num_items)
        return variances, axes
    _, singular, axes = torch.linalg.svd(standard, full_matrices=False)
    return singular**2 / num_items, axes.mT
