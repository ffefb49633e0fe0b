import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from trivium.evaluation.metrics import measure


def test_calibration_error_in_closed_form():
    # 10 items at confidence 0.9 with 8 right, 30 at 0.6 with 21 right: (10 * 0.1 + 30 * 0.1) / 40.
    shares = np.array([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 30)
    targets = np.array([0] * 8 + [1] * 2 + [0] * 21 + [1] * 9)
    measured = measure(shares, targets)
    assert measured["ece"] == pytest.approx(0.1, abs=1e-6)
    assert measured["accuracy"] == pytest.approx(29 / 40)


def test_confident_and_right_is_perfect():
    assert measure(np.eye(4), np.arange(4)) == pytest.approx(
        {"accuracy": 1.0, "macro_f1": 1.0, "ece": 0.0}
    )


def test_macro_f1_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    shares, targets = rng.dirichlet(np.ones(5), 400), rng.integers(0, 5, 400)
    predictions = shares.argmax(1)
    assert measure(shares, targets)["macro_f1"] == pytest.approx(
        f1_score(targets, predictions, average="macro")
    )


def test_all_three_are_those_of_torchmetrics():
    classification = pytest.importorskip("torchmetrics.functional.classification")
    rng = np.random.default_rng(1)
    shares, targets = rng.dirichlet(np.full(6, 0.4), 500), rng.integers(0, 6, 500)
    scores, truth = torch.from_numpy(shares), torch.from_numpy(targets)
    measured = measure(shares, targets)
    accuracy = classification.multiclass_accuracy(scores, truth, 6, average="micro")
    f1 = classification.multiclass_f1_score(scores, truth, 6, average="macro")
    ece = classification.multiclass_calibration_error(scores, truth, 6, n_bins=15, norm="l1")
    expected = {"accuracy": float(accuracy), "macro_f1": float(f1), "ece": float(ece)}
    assert measured == pytest.approx(expected, abs=1e-5)
