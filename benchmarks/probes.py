"""The linear probe against scikit-learn, and only where both reach the same objective.

Claim: one batched solve of nine penalties is several times faster than nine scikit-learn fits.
Command: python benchmarks/probes.py [--items 60000] [--width 192] [--penalties 1e-2 1 1e2]
Runtime: minutes (scikit-learn); both on one thread.

For each penalty scikit-learn runs with ever smaller tolerances until its objective is as low as
ours (within 1e-4 relative); only that last fit is counted, as if its tolerance had been known.
Rows where it does not get there count for nobody.
"""

import argparse
import os
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from trivium.probes.linear import PENALTIES, LinearProbe

AGREEMENT = 1e-4
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)


def features_of(num_items: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten overlapping classes behind a rectified random layer: correlated, not separable."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, num_items)
    latent = rng.normal(size=(10, 40))[labels] * 0.35 + rng.normal(size=(num_items, 40))
    hidden = latent @ rng.normal(size=(40, width)) * np.logspace(0, -1.5, width)
    return np.maximum(hidden + 0.1 * rng.normal(size=hidden.shape), 0).astype(np.float32), labels


def objective(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray, bias: np.ndarray, penalty: float
) -> float:
    logs = log_softmax(features @ weights.T + bias, axis=1)
    loss = -logs[np.arange(len(labels)), labels].sum()
    return float(penalty * loss + 0.5 * np.square(weights).sum())


def equal_fit(
    features: np.ndarray, labels: np.ndarray, penalty: float, goal: float
) -> tuple[float, float]:
    """Seconds and objective of the first scikit-learn fit that is as good as `goal`."""
    seconds, value = np.inf, np.inf
    for tolerance in TOLERANCES:
        start = time.perf_counter()
        peer = LogisticRegression(C=penalty, tol=tolerance, max_iter=5000).fit(features, labels)
        seconds = time.perf_counter() - start
        value = objective(features, labels, peer.coef_, peer.intercept_, penalty)
        if value <= goal * (1 + AGREEMENT):
            break
    return seconds, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=60_000)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--penalties", type=float, nargs="+", default=PENALTIES)
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    warnings.simplefilter("ignore", ConvergenceWarning)
    features, labels = features_of(arguments.items, arguments.width)
    start = time.perf_counter()
    probe = LinearProbe(arguments.penalties).fit(features, labels)
    ours = time.perf_counter() - start
    print(
        f"{features.shape}: {len(probe.penalties)} penalties in {ours:.2f} s, "
        f"converged: {probe.converged_}"
    )
    standard = ((features - probe.mean_) / probe.scale_).astype(np.float64)
    theirs, equal = 0.0, True
    for index, penalty in enumerate(probe.penalties):
        weights, bias = probe.path_coef_[index], probe.path_intercept_[index]
        goal = objective(standard, labels, weights, bias, penalty)
        seconds, value = equal_fit(standard, labels, penalty, goal)
        reached = value <= goal * (1 + AGREEMENT)
        theirs, equal = theirs + seconds, equal and reached
        print(
            f"C {penalty:8.0e}  scikit-learn {seconds:7.2f} s  objective "
            f"{value / goal - 1:+.1e} of ours{'' if reached else '  NOT EQUAL'}",
            flush=True,
        )
    sign = "" if equal else " (at least: not all fits were equal)"
    print(f"ratio: {theirs / ours:.1f}{sign}")


if __name__ == "__main__":
    main()
