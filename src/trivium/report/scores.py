"""Scores per test item whose mean is a metric, from what the probes predicted."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Integer

Score: TypeAlias = Callable[
    [Integer[np.ndarray, " item"], Integer[np.ndarray, " item"]], Float[np.ndarray, " item"]
]
"""Per-item values from predictions and labels."""

RETRIEVAL = "retrieval"
"""The probe whose predictions are ranks (from 0) of the best right candidate."""
MAIN = ("accuracy", "recall@5")
"""What the answers are about: the first of these that was measured."""


def score_of(metric: str) -> Score | None:
    """What gives a metric again from stored predictions; None if nothing does.

    A metric of one stratum (`recall@5/German`) is scored as that of all.
    """
    name = metric.partition("/")[0]
    kind, _, k = name.partition("@")
    if kind == "recall" and k.isdecimal():
        return partial(found_among, k=int(k))
    return SCORES.get(name)


def is_share(metric: str) -> bool:
    """Whether a metric is a share of something: between 0 and 1, and shown in percent."""
    return metric in ("accuracy", "macro_f1", "ece") or metric.startswith(("recall", "chance"))


def correctness(
    predicted: Integer[np.ndarray, " item"], labels: Integer[np.ndarray, " item"]
) -> Float[np.ndarray, " item"]:
    """1 where the prediction is right, else 0; the mean is the accuracy."""
    right: Float[np.ndarray, " item"] = (predicted == labels).astype(np.float64)
    return right


def found_among(
    ranks: Integer[np.ndarray, " item"], _labels: Integer[np.ndarray, " item"], *, k: int
) -> Float[np.ndarray, " item"]:
    """1 where fewer than k wrong candidates come first, else 0; the mean is recall@k."""
    found: Float[np.ndarray, " item"] = (ranks < k).astype(np.float64)
    return found


def macro_f1_influence(
    predicted: Integer[np.ndarray, " item"], labels: Integer[np.ndarray, " item"]
) -> Float[np.ndarray, " item"]:
    """Per-item pseudo-values whose mean is macro-F1 (the infinitesimal jackknife).

    F1 of class k is 2 a / b with a the share of items that are rightly given k, and b the share
    that are k plus the share that are given k; its linearisation in item i is
    2 (a_i - a) / b - 2 a (b_i - b) / b^2 (Efron 1982, The Jackknife, chapter 6).
    """
    classes = np.union1d(labels, predicted)
    is_class = (labels[:, None] == classes).astype(np.float64)
    given = (predicted[:, None] == classes).astype(np.float64)
    hits, sums = is_class * given, is_class + given
    hit, total = hits.mean(0), sums.mean(0)
    change = 2 * (hits - hit) / total - 2 * hit * (sums - total) / total**2
    influence: Float[np.ndarray, " item"] = (2 * hit / total + change).mean(1)
    return influence


SCORES: dict[str, Score] = {"accuracy": correctness, "macro_f1": macro_f1_influence}
"""Metrics of classes that stored predictions give again, as means of per-item values."""
