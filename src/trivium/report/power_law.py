"""Power laws, with or without a floor, fitted to many resampled curves at once.

y = a x^-b + c is fitted by least squares of log y, as relative deviations are what a log-log plot
shows and what is about alike on all rungs (cf. Kaplan et al., arXiv:2001.08361; Hoffmann et al.,
arXiv:2203.15556, fit logarithms as well). `scipy.optimize.curve_fit` fits one curve at a time,
which is too slow for thousands of resampled ones; the tests hold it against these fits.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

STARTS = np.concatenate([[0.0], 1 - np.geomspace(1, 0.02, 16)[1:]])
"""Floors tried first, as shares of the lowest value."""
STEEPEST = 8.0
"""The greatest exponent of a law with a floor."""
NUM_STEPS = 40


class Law(NamedTuple):
    """y = exp(height) (x / middle)^-b + c, for each curve; `middle` is the geometric mean of x."""

    height: Float[np.ndarray, " curve"]
    exponent: Float[np.ndarray, " curve"]
    floor: Float[np.ndarray, " curve"]
    middle: float

    @property
    def factor(self) -> Float[np.ndarray, " curve"]:
        """The factor a of y = a x^-b + c."""
        factor: np.ndarray = np.exp(self.height + self.exponent * np.log(self.middle))
        return factor

    def at(self, x: Float[np.ndarray, " point"]) -> Float[np.ndarray, "curve point"]:
        """The values of each curve."""
        away = np.log(x / self.middle)
        values: np.ndarray = np.exp(self.height[..., None] - self.exponent[..., None] * away)
        values += self.floor[..., None]
        return values


def pure(x: Float[np.ndarray, " rung"], y: Float[np.ndarray, "curve rung"]) -> Law:
    """The power law without a floor: a line through log y over log x."""
    away, middle = _centred(x)
    logs = np.log(y)
    exponent = -(logs @ away) / (away @ away)
    return Law(logs.mean(-1), exponent, np.zeros_like(exponent), middle)


def floored(x: Float[np.ndarray, " rung"], y: Float[np.ndarray, "curve rung"]) -> Law:
    """The power law with a floor of at least 0 (and an exponent in [0, 8]).

    For each of some floors the rest is a line; from the best of these, damped Gauss-Newton steps
    (Levenberg 1944, Marquardt 1963) that are kept where they come nearer.
    """
    away, middle = _centred(x)
    logs = np.log(y)
    theta = _start(away, y)
    error, damping = _misfit(theta, away, logs), np.full(y.shape[:-1], 1e-2)
    for _ in range(NUM_STEPS):
        residuals, slopes = _linearised(theta, away, logs)
        normal = np.einsum("...ki,...kj->...ij", slopes, slopes)
        scale = np.maximum(np.einsum("...ii->...i", normal), 1e-12) * damping[..., None]
        gradient = np.einsum("...ki,...k->...i", slopes, residuals)
        normal = normal + scale[..., None] * np.eye(3)
        tried = _inside(theta - np.linalg.solve(normal, gradient[..., None])[..., 0], y)
        nearer = (found := _misfit(tried, away, logs)) < error
        theta = np.where(nearer[..., None], tried, theta)
        error = np.where(nearer, found, error)
        damping = np.clip(np.where(nearer, damping / 4, damping * 4), 1e-9, 1e9)
    return Law(theta[..., 0], theta[..., 1], theta[..., 2], middle)


def _centred(x: np.ndarray) -> tuple[np.ndarray, float]:
    logs = np.log(x)
    return logs - logs.mean(), float(np.exp(logs.mean()))


def _start(away: np.ndarray, y: np.ndarray) -> np.ndarray:
    lowest = y.min(-1)
    tried = []
    for share in STARTS:
        logs = np.log(y - (share * lowest)[..., None])
        exponent = np.clip(-(logs @ away) / (away @ away), 0, STEEPEST)
        tried.append(np.stack([logs.mean(-1), exponent, share * lowest], -1))
    thetas = np.stack(tried)
    errors = _misfit(thetas, away, np.log(y))
    best = errors.argmin(0)[None, ..., None]
    start: np.ndarray = np.take_along_axis(thetas, best, 0)[0]
    return start


def _values(theta: np.ndarray, away: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    falling = np.exp(theta[..., :1] - theta[..., 1:2] * away)
    return falling, falling + theta[..., 2:3]


def _misfit(theta: np.ndarray, away: np.ndarray, logs: np.ndarray) -> np.ndarray:
    misfit: np.ndarray = np.square(np.log(_values(theta, away)[1]) - logs).sum(-1)
    return misfit


def _linearised(
    theta: np.ndarray, away: np.ndarray, logs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    falling, values = _values(theta, away)
    share = falling / values
    return np.log(values) - logs, np.stack([share, -share * away, 1 / values], -1)


def _inside(theta: np.ndarray, y: np.ndarray) -> np.ndarray:
    height = np.clip(theta[..., 0], -50, 50)
    exponent = np.clip(theta[..., 1], 0, STEEPEST)
    floor = np.clip(theta[..., 2], 0, y.min(-1))
    return np.stack([height, exponent, floor], -1)
