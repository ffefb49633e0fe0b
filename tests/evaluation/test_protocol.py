import dataclasses

import numpy as np
import pytest
from omegaconf import OmegaConf
from sklearn.metrics import accuracy_score

from trivium.evaluation.protocol import PROTOCOL, Protocol, evaluate
from yamls import read

from .conftest import Shop, blobs, words

SMALL = Protocol(num_draws=2, C=(0.01, 1.0), neighbours=(1, 5))
FACTS = {"dataset": "shop", "seed": 0, "task": "label"}


def test_the_yaml_holds_the_defaults():
    settings = OmegaConf.to_container(read("probe/default.yaml"))
    assert settings.pop("_target_") == f"{Protocol.__module__}.{Protocol.__qualname__}"
    assert settings.keys() == {field.name for field in dataclasses.fields(Protocol)}
    assert Protocol(**settings) == Protocol()


def test_records_cover_every_fraction_draw_probe_and_metric(shop):
    features, store = shop
    evaluation = evaluate(features, store, SMALL, FACTS, checkpoint="abc")
    assert (evaluation.protocol, evaluation.checkpoint) == (PROTOCOL, "abc")
    seen = {
        (r["probe"], r["fraction"], r["draw"], r["split"], r["metric"]) for r in evaluation.records
    }
    draws = [(0.01, 0), (0.01, 1), (0.1, 0), (0.1, 1), (1.0, 0)]
    metrics = [("test", name) for name in ("accuracy", "macro_f1", "ece")]
    expected = {("linear", *d, *m) for d in draws for m in metrics}
    expected |= {("knn", *d, *m) for d in draws for m in metrics}
    for split in (("validation", "accuracy"),):
        expected |= {(probe, *d, *split) for d in draws for probe in ("linear", "knn")}
    expected |= {("linear", *d, "validation", "cross_entropy") for d in draws}
    assert seen == expected
    assert len(seen) == len(evaluation.records)
    for record in evaluation.records:
        assert ("C" in record) == (record["probe"] == "linear")
        assert ("k" in record) == (record["probe"] == "knn")


def test_predictions_reproduce_the_recorded_accuracy(shop):
    features, store = shop
    evaluation = evaluate(features, store, SMALL, FACTS)
    labels = evaluation.predictions["labels"]
    np.testing.assert_array_equal(labels, store.labels("label")[store.split("test")])
    for record in evaluation.records:
        if (record["split"], record["metric"]) == ("test", "accuracy"):
            key = f"{record['probe']}/{record['fraction']}/{record['draw']}"
            predicted = evaluation.predictions[key]
            assert predicted.dtype == np.int16
            assert record["value"] == pytest.approx(accuracy_score(labels, predicted))
            assert record["num_test"] == len(labels)


def test_twice_the_same_bit_by_bit(shop):
    features, store = shop
    first, second = (evaluate(features, store, SMALL, FACTS) for _ in range(2))
    assert first.records == second.records


def test_sparse_features_are_probed_like_dense_ones():
    features, labels = words(900, 40, 3)
    store = Shop(labels)
    evaluation = evaluate(features, store, SMALL, FACTS)
    dense = evaluate(features.toarray(), store, SMALL, FACTS)
    assert [record.keys() for record in evaluation.records] == [
        record.keys() for record in dense.records
    ]
    accuracy = [
        each.summary()[probe, "accuracy", "test", 1.0]
        for probe in SMALL.probes
        for each in (evaluation, dense)
    ]
    assert accuracy[0] == pytest.approx(accuracy[1], abs=0.05)  # standardised, and not
    assert accuracy[2] == pytest.approx(accuracy[3], abs=0.02)
    with pytest.raises(ValueError, match="899 features for 900 items"):
        evaluate(features[:-1], store, SMALL, FACTS)


def test_test_items_change_neither_choice_nor_other_predictions(shop):
    features, store = shop
    evaluation = evaluate(features, store, SMALL, FACTS)
    altered = features.copy()
    spoilt = store.split("test")[::2]
    altered[spoilt] = altered[spoilt][::-1] * 50
    again = evaluate(altered, store, SMALL, FACTS)
    chosen = [[(r.get("C"), r.get("k")) for r in e.records] for e in (evaluation, again)]
    assert chosen[0] == chosen[1]
    for key, predicted in evaluation.predictions.items():
        np.testing.assert_array_equal(predicted[1::2], again.predictions[key][1::2])


def test_a_draw_without_a_class_is_an_error(shop):
    features, store = shop
    store.fraction = lambda *_: (np.flatnonzero(store.labels("label") < 2), store.split("test"))
    with pytest.raises(ValueError, match=r"draw 0 of the label fraction 0.01 has no .* \[2\]"):
        evaluate(features, store, SMALL, FACTS)


def test_features_of_another_store_are_an_error(shop):
    features, store = shop
    with pytest.raises(ValueError, match="599 features for 600 items"):
        evaluate(features[:-1], store, SMALL, FACTS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fractions": [0.0]}, "fractions must lie"),
        ({"num_draws": 0}, "num_draws must be"),
        ({"probes": ["lineal"]}, "probes must be some of"),
    ],
)
def test_wrong_settings_are_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        Protocol(**settings)


def test_groups_of_the_test_items_are_kept_beside_the_predictions():
    features, labels = blobs(300, 6, 3)
    groups = np.arange(300) // 4 + 100
    store = Shop(labels, groups)
    kept = evaluate(features, store, SMALL, FACTS).predictions["groups"]
    own = groups[store.split("test")]
    assert np.array_equal(kept[:, None] == kept, own[:, None] == own)
    assert "groups" not in evaluate(features, Shop(labels), SMALL, FACTS).predictions
