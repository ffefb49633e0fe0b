"""Every direction under the protocol, on features whose ranks are known."""

import numpy as np
import pytest

from pair_store import PairStore
from trivium.evaluation.pairs import evaluate_retrieval, evaluate_scores
from trivium.evaluation.protocol import PROTOCOL
from trivium.evaluation.results import read_evaluation, write_evaluation
from trivium.evaluation.retrieval import Ranks, chance

NUM_ITEMS = 60
FACTS = {"dataset": "pairs", "objective": "clip", "task": "?", "seed": 3}
METRICS = [
    *(f"recall@{k}" for k in (1, 5, 10)),
    "median_rank",
    *(f"chance@{k}" for k in (1, 5, 10)),
    "num_candidates",
]


def store(modality="image+text", *, strata=True, groups=True):
    generator = np.random.default_rng(0)
    rows = {one: generator.permutation(NUM_ITEMS) for one in modality.split("+")}
    return PairStore(
        rows,
        {"train": range(20), "test": range(20, NUM_ITEMS)},
        texts=[f"text {row}" for row in range(NUM_ITEMS)],
        strata=np.arange(NUM_ITEMS) % 4 // 3 if strata else None,
        names=("english", "german") if strata else (),
        groups=np.arange(NUM_ITEMS) // 2 + 100 if groups else None,
    )


def joint(shop, noise=0.0, seed=1):
    """The same direction for all rows of an item, in some noise."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=(NUM_ITEMS, 16))
    found = {}
    for one in shop.meta.modality.split("+"):
        features = np.empty((NUM_ITEMS, 16), np.float32)
        features[shop.rows(one)] = shared + noise * generator.normal(size=shared.shape)
        found[one] = features / np.linalg.norm(features, axis=1, keepdims=True)
    return found


def evaluate(shop, noise=0.0, **settings):
    return evaluate_retrieval(joint(shop, noise), shop, FACTS, checkpoint="abc", **settings)


def values(evaluation):
    return {record["metric"]: record["value"] for record in evaluation.records}


def test_every_direction_is_an_evaluation():
    found = evaluate(store("image+text+audio"))
    assert [one.facts["task"] for one in found] == [
        "image to text",
        "image to audio",
        "text to image",
        "text to audio",
        "audio to image",
        "audio to text",
    ]
    for one in found:
        task = one.facts["task"]
        assert one.facts == FACTS | {"task": task, "modality": "image+text+audio"}
        assert (one.protocol, one.checkpoint) == (PROTOCOL, "abc")
    assert FACTS["task"] == "?"


def test_equal_features_find_each_other():
    for one in evaluate(store()):
        found = values(one)
        assert found["recall@1"] == found["median_rank"] == 1
        assert found["modality_gap"] == pytest.approx(0, abs=1e-6)
        assert found["num_candidates"] == pytest.approx((30 * 30 + 10 * 10) / 40)
        assert found["chance@1"] == pytest.approx(2 / 40)
        assert not one.predictions["retrieval/1.0/0"].any()


def test_the_records_are_complete():
    one = evaluate(store())[0]
    names = [record["metric"] for record in one.records]
    assert names == [
        *METRICS,
        "modality_gap",
        "recall@5/english",
        "chance@5/english",
        "recall@5/german",
        "chance@5/german",
    ]
    counts = dict.fromkeys(names, 40) | {
        f"{metric}@5/{name}": number
        for metric in ("recall", "chance")
        for name, number in (("english", 30), ("german", 10))
    }
    for record in one.records:
        known = {key: record[key] for key in record.keys() - {"metric", "value"}}
        assert known == {
            "task": "image to text",
            "probe": "retrieval",
            "fraction": 1.0,
            "draw": 0,
            "split": "test",
            "num_test": counts[record["metric"]],
        }
    assert one.summary()["retrieval", "recall@1", "test", None] == 1


def test_predictions_tell_what_was_recorded():
    shop = store()
    for one in evaluate(shop, noise=1.0):
        found, predictions = values(one), one.predictions
        ranks, strata = predictions["retrieval/1.0/0"], predictions["strata"]
        assert (ranks.dtype, strata.dtype) == (np.int32, np.int16)
        assert found["recall@5"] == pytest.approx((ranks < 5).mean())
        assert 0.2 < found["recall@5"] < 1
        for number, name in enumerate(shop.meta.strata):
            own = ranks[strata == number]
            assert found[f"recall@5/{name}"] == pytest.approx((own < 5).mean())
            size = np.full(len(own), len(own))
            expected = chance(Ranks(own, size, np.ones(len(own), np.int64)), 5).mean()
            assert found[f"chance@5/{name}"] == pytest.approx(expected)
        assert predictions["labels"].tolist() == [0] * 40
        assert predictions["groups"].dtype == predictions["labels"].dtype == np.int32
        assert np.bincount(predictions["groups"]).tolist() == [2] * 20


def test_without_strata_and_groups_nothing_is_said_of_them():
    one = evaluate(store(strata=False, groups=False))[0]
    assert set(one.predictions) == {"retrieval/1.0/0", "labels"}
    assert list(values(one)) == [*METRICS, "modality_gap"]
    assert values(one)["num_candidates"] == 40


def test_candidates_limit_both_sides():
    for one in evaluate(store(strata=False, groups=False), candidates=25):
        assert values(one)["num_candidates"] == len(one.predictions["labels"]) == 25


def test_of_each_group_one_item_is_asked():
    for one in evaluate(store(strata=False), candidates=25):
        assert values(one)["num_candidates"] == len(one.predictions["labels"]) == 20
        assert np.bincount(one.predictions["groups"]).tolist() == [1] * 20
        assert values(one)["chance@5"] == pytest.approx(0.25)


def test_limited_candidates_are_drawn_five_times():
    for one in evaluate(store(), noise=1.0, candidates=25):
        assert {record["draw"] for record in one.records} == set(range(5))
        names = [record["metric"] for record in one.records if record["draw"] == 0]
        assert len(one.records) == 5 * len(names)
        assert {"recall@5", "recall@5/german", "modality_gap"} <= set(names)
        found = {
            record["draw"]: record["value"]
            for record in one.records
            if record["metric"] == "recall@5"
        }
        for draw, recall in found.items():
            ranks = one.predictions[f"retrieval/1.0/{draw}"]
            assert recall == pytest.approx((ranks < 5).mean())
        assert len(set(found.values())) > 1
        mean = one.summary()["retrieval", "recall@5", "test", None]
        assert mean == pytest.approx(np.mean([*found.values()]))


def test_shuffled_pairs_are_at_chance():
    shop = store(strata=False)
    features = joint(shop)
    features["text"] = np.random.default_rng(5).permutation(features["text"])
    for one in evaluate_retrieval(features, shop, FACTS, checkpoint="abc"):
        found = values(one)
        assert found["recall@10"] == pytest.approx(found["chance@10"], abs=0.15)
        assert 10 < found["median_rank"] < 30


def test_scores_are_ranked_alike():
    shop = store("image+text+audio")
    features = joint(shop, noise=1.0)

    def scores(search):
        if "audio" in search.task:
            return None
        queries, others = features[search.first], features[search.second]
        return queries[search.queries] @ others[search.candidates].T

    found = evaluate_scores(scores, shop, FACTS, checkpoint="abc")
    expected = evaluate_retrieval(features, shop, FACTS, checkpoint="abc")
    expected = [one for one in expected if "audio" not in one.facts["task"]]
    assert len(found) == 2
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.facts == theirs.facts
        assert values(theirs) == values(mine) | {"modality_gap": values(theirs)["modality_gap"]}
        for name, array in theirs.predictions.items():
            np.testing.assert_array_equal(mine.predictions[name], array)


def test_an_evaluation_can_be_written(tmp_path):
    one = evaluate(store())[0]
    write_evaluation(one, tmp_path)
    again = read_evaluation(tmp_path)
    assert (again.facts, again.records) == (one.facts, one.records)
    np.testing.assert_array_equal(again.predictions["strata"], one.predictions["strata"])
