"""Scores per item: their means are the metrics, by other means than the code's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from trivium.evaluation.retrieval import Ranks, measures
from trivium.report.scores import is_share, macro_f1_influence, score_of


@given(st.lists(st.integers(0, 30), min_size=1, max_size=50))
def test_recall_is_that_of_the_probes(ranks):
    ranks = np.array(ranks, dtype=np.int64)
    found = measures(Ranks(ranks, np.full_like(ranks, 31), np.ones_like(ranks)))
    for metric in ("recall@1", "recall@5", "recall@10"):
        assert score_of(metric)(ranks, np.zeros_like(ranks)).mean() == pytest.approx(found[metric])


def test_a_stratum_is_scored_as_all_are():
    ranks = np.array([0, 4, 5])
    assert score_of("recall@5/German")(ranks, 0 * ranks).tolist() == [1, 1, 0]


@pytest.mark.parametrize("metric", ["median_rank", "chance@5", "modality_gap", "ece", "recall@all"])
def test_other_metrics_are_no_means_of_items(metric):
    assert score_of(metric) is None


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_pseudo_values_average_to_macro_f1(pairs):
    predicted, labels = np.array(pairs).T
    expected = f1_score(labels, predicted, average="macro")
    assert macro_f1_influence(predicted, labels).mean() == pytest.approx(expected, abs=1e-9)


def test_pseudo_values_give_macro_f1s_sampling_error():
    """Against brute force: the spread of macro-F1 over fresh test sets."""
    generator = np.random.default_rng(0)

    def sample():
        labels = generator.integers(4, size=400)
        wrong = generator.random(400) < 0.1 + 0.1 * labels
        return np.where(wrong, generator.integers(4, size=400), labels), labels

    brute = np.std([f1_score(y, p, average="macro") for p, y in (sample() for _ in range(300))])
    error = np.mean([macro_f1_influence(*sample()).std() / 20 for _ in range(20)])
    assert error == pytest.approx(brute, rel=0.15)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("accuracy", True), ("ece", True), ("recall@5/Welsh", True), ("chance@1", True),
     ("median_rank", False), ("rankme", False), ("num_candidates", False)],
)  # fmt: skip
def test_shares_are_told_from_other_numbers(metric, expected):
    assert is_share(metric) is expected
