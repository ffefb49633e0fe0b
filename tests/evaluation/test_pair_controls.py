"""The controls are those of `ridge_retrieval` and `duration_control`, under the protocol."""

import numpy as np
import pytest

from pair_store import PairStore
from trivium.evaluation.controls import DurationControl, evaluate_controls
from trivium.evaluation.linear_retrieval import RidgeRetrieval
from trivium.evaluation.pairs import evaluate_scores

NUM_ITEMS = 60
FACTS = {"dataset": "pairs", "objective": "raw", "seed": 0}


def made(*modalities):
    generator = np.random.default_rng(0)
    rows = {one: generator.permutation(NUM_ITEMS) for one in modalities}
    splits = {"train": range(30), "validation": range(30, 40), "test": range(40, NUM_ITEMS)}
    texts = ["a" * length for length in generator.integers(1, 30, NUM_ITEMS)]
    durations = generator.integers(1, 99, NUM_ITEMS)
    shop = PairStore(rows, splits, texts=texts, durations=durations)
    return shop, {one: generator.normal(size=(NUM_ITEMS, 4)) for one in modalities}, durations


def test_every_control_has_every_direction_that_it_can():
    shop, features, durations = made("image", "text", "audio")
    found = list(evaluate_controls(features, shop, FACTS, checkpoint="raw", candidates=15))
    names = [(one.facts["objective"], one.facts["task"]) for one in found]
    assert names[6:] == [("duration", "text to audio"), ("duration", "audio to text")]
    assert [name for name, _ in names[:6]] == ["ridge"] * 6
    assert len(set(names)) == 8
    expected = []
    for control in (RidgeRetrieval(features, shop, most=15), DurationControl(shop, durations)):
        expected += evaluate_scores(control, shop, FACTS, checkpoint="raw", candidates=15)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.records == theirs.records
        assert mine.records[0]["num_test"] == 15
        assert mine.checkpoint == "raw"
        assert mine.facts == theirs.facts | {"objective": mine.facts["objective"]}


@pytest.mark.parametrize("modalities", [("image", "text"), ("image", "audio")])
def test_without_texts_and_audio_durations_say_nothing(modalities):
    shop, features, _ = made(*modalities)
    found = list(evaluate_controls(features, shop, FACTS, checkpoint="raw"))
    assert {one.facts["objective"] for one in found} == {"ridge"}
    assert len(found) == 2
