"""The linear probe against scikit-learn, and only where both reach the same objective.

Claim: several values of C are solved faster than by scikit-learn, of few items and of many.
Command: python benchmarks/probes.py [--sizes 540x48 60000x192] [--C 1e-2 1 1e2] [--threads 1]
Runtime: minutes (scikit-learn). Seconds are those of the processor on one thread, else those of
the clock.

For each C scikit-learn runs with ever smaller tolerances until its objective is as low as ours
(within 1e-6 relative); only that last fit is counted, as if its tolerance had been known, and of
its solvers `lbfgs` and (up to 1000 weights) `newton-cholesky` the faster. Where neither gets there
the slower one counts, and the ratio is marked.
"""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = dict(zip(sys.argv, sys.argv[1:], strict=False)).get(
    "--threads", "1"
)

import numpy as np
import torch
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from trivium.evaluation.linear import VALUES_OF_C, LinearProbe

AGREEMENT = 1e-6
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
SIZES = ("60x64", "540x48", "540x784", "6000x64", "60000x64", "60000x192")
NUM_CLASSES = 10

ONE = os.environ["OMP_NUM_THREADS"] == "1"
clock: Callable[[], float] = time.process_time if ONE else time.perf_counter


def features_of(num_items: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten overlapping classes behind a rectified random layer: correlated, not separable."""
    rng = np.random.default_rng(0)
    labels = np.arange(num_items) % NUM_CLASSES
    latent = rng.normal(size=(NUM_CLASSES, 40))[labels] * 0.35 + rng.normal(size=(num_items, 40))
    hidden = latent @ rng.normal(size=(40, width)) * np.logspace(0, -1.5, width)
    return np.maximum(hidden + 0.1 * rng.normal(size=hidden.shape), 0).astype(np.float32), labels


def objective(features: np.ndarray, labels: np.ndarray, fitted: LogisticRegression) -> float:
    logs = log_softmax(fitted.decision_function(features), axis=1)
    loss = -logs[np.arange(len(labels)), labels].sum()
    return float(fitted.C * loss + 0.5 * np.square(fitted.coef_).sum())


def equal_fit(
    features: np.ndarray, labels: np.ndarray, value: float, goal: float, solver: str
) -> tuple[bool, float]:
    """Whether scikit-learn gets as low as `goal`, and the seconds of the fit that did."""
    seconds, found = np.inf, np.inf
    for tolerance in TOLERANCES:
        peer = LogisticRegression(C=value, tol=tolerance, max_iter=5000, solver=solver)
        start = clock()
        peer.fit(features, labels)
        seconds, found = clock() - start, objective(features, labels, peer)
        if found <= goal * (1 + AGREEMENT):
            return True, seconds
    return False, seconds


def compare(size: str, values: tuple[float, ...]) -> None:
    num_items, width = (int(one) for one in size.split("x"))
    features, labels = features_of(num_items, width)
    ours, probe = np.inf, LinearProbe(values)
    for _ in range(3):
        start = clock()
        probe = LinearProbe(values).fit(features, labels)
        ours = min(ours, clock() - start)
    standard = (features - probe.mean_) / probe.scale_
    theirs, missed = 0.0, 0
    solvers = ["lbfgs", *(["newton-cholesky"] if width * NUM_CLASSES <= 1000 else [])]
    for value, goal in zip(values, probe.objective_, strict=True):
        fits = [equal_fit(standard, labels, value, goal, solver) for solver in solvers]
        reached = [seconds for equal, seconds in fits if equal]
        missed += not reached
        theirs += min(reached) if reached else max(seconds for _, seconds in fits)
    mark = f" (at least: {missed} fits were not equal)" if missed else ""
    print(
        f"{size:>10}  ours {ours:7.3f} s  scikit-learn {theirs:8.3f} s  ratio "
        f"{theirs / ours:5.1f}{mark}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=SIZES)
    parser.add_argument("--C", type=float, nargs="+", default=VALUES_OF_C)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore", ConvergenceWarning)
    for size in arguments.sizes:
        compare(size, tuple(arguments.C))


if __name__ == "__main__":
    main()
