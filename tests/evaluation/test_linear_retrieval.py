"""What a linear map finds, on features that know the texts or do not."""

import numpy as np
import pytest

from pair_store import PairStore
from trivium.evaluation.linear_retrieval import RidgeRetrieval, evaluate_linear_retrieval
from trivium.evaluation.pairs import evaluate_scores

NUM_ITEMS = 240
SPLITS = {"train": range(140), "validation": range(140, 180), "test": range(180, NUM_ITEMS)}
FACTS = {"dataset": "pairs", "objective": "simclr", "modality": "?", "seed": 3}
TEXTS = [f"text {row}" for row in range(NUM_ITEMS)]
GENERATOR = np.random.default_rng(0)
FACTORS = GENERATOR.normal(size=(NUM_ITEMS, 5))


def store(*modalities):
    return PairStore({one: np.arange(NUM_ITEMS) for one in modalities}, SPLITS, texts=TEXTS)


def knowing(width=12, noise=0.1):
    mixed = FACTORS @ GENERATOR.normal(size=(5, width))
    return mixed + noise * GENERATOR.normal(size=mixed.shape)


def found(features, shop, modality="image", texts=None):
    texts = knowing(9) if texts is None else texts
    return list(
        evaluate_linear_retrieval(
            features, texts, shop, FACTS, modality=modality, checkpoint="abc", candidates=50
        )
    )


def recalls(evaluations):
    return [r["value"] for one in evaluations for r in one.records if r["metric"] == "recall@5"]


def test_features_that_know_the_texts_find_them_and_noise_is_at_chance():
    shop = store("image", "text")
    assert min(recalls(found(knowing(), shop))) > 0.9
    noise = recalls(found(GENERATOR.normal(size=(NUM_ITEMS, 12)), shop))
    chance = 5 / 50
    assert max(noise) < chance + 3 * np.sqrt(chance * (1 - chance) / 50)


def test_it_is_ridge_regression_told_of_one_modality():
    shop, features, texts = store("image", "text"), knowing(noise=1.0), knowing(9)
    mine = found(features, shop, texts=texts)
    ridge = RidgeRetrieval({"image": features, "text": texts}, shop, most=50)
    theirs = evaluate_scores(ridge, shop, FACTS, checkpoint="abc", candidates=50)
    assert [one.facts["task"] for one in mine] == ["image to text", "text to image"]
    for one, other in zip(mine, theirs, strict=True):
        assert one.records == other.records
        assert one.facts == {**other.facts, "modality": "image"}
        assert one.checkpoint == "abc"


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_of_three_modalities_each_is_read_for_itself(modality):
    tasks = [
        one.facts["task"] for one in found(knowing(), store("image", "text", "audio"), modality)
    ]
    assert sorted(tasks) == sorted([f"{modality} to text", f"text to {modality}"])


def test_texts_are_not_searched_by_texts():
    with pytest.raises(ValueError, match="features of another modality"):
        found(knowing(), store("image", "text"), "text")
