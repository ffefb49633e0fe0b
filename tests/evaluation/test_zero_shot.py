"""Against scikit-learn's measures and a nearest class by hand."""

import numpy as np
import pytest
from sklearn.metrics import f1_score
from sklearn.metrics.pairwise import cosine_similarity

from trivium.evaluation.zero_shot import class_features, zero_shot

TEMPLATES = ("a {}", "the {}.", "many {}s")
NAMES = ("dog", "cat {1}", "horse")


def encode(texts):
    """Some vector for each text, of any length."""
    rows = [np.random.default_rng(list(text.encode())).normal(size=4) for text in texts]
    return np.array(rows, np.float32)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_a_class_is_the_mean_of_its_descriptions():
    found = class_features(NAMES, TEMPLATES, encode)
    for name, row in zip(NAMES, found, strict=True):
        texts = [f"a {name}", f"the {name}.", f"many {name}s"]
        np.testing.assert_allclose(row, unit(unit(encode(texts)).mean(0)), atol=1e-6)


def test_all_descriptions_are_encoded_at_once():
    seen = []
    class_features(NAMES, TEMPLATES, lambda texts: seen.append(len(texts)) or encode(texts))
    assert seen == [9]


@pytest.mark.parametrize("templates", [(), ("a picture",), ("{} and {}",)])
def test_templates_hold_one_name(templates):
    with pytest.raises(ValueError, match="templates"):
        class_features(NAMES, templates, encode)


def test_the_nearest_class_is_predicted_and_measured():
    generator = np.random.default_rng(0)
    classes, targets = class_features(NAMES, TEMPLATES, encode), np.arange(90) % 3
    features = classes[targets] * 2 + generator.normal(size=(90, 4)) * 0.8
    records, predictions = zero_shot(
        features, targets, NAMES, encode, templates=TEMPLATES, task="animal"
    )
    nearest = cosine_similarity(features, classes).argmax(1)
    assert list(predictions) == ["zero-shot/1.0/0"]
    found = predictions["zero-shot/1.0/0"]
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, nearest)
    values = {record["metric"]: record["value"] for record in records}
    assert 0.5 < values["accuracy"] < 1
    assert values["accuracy"] == pytest.approx((nearest == targets).mean())
    assert values["macro_f1"] == pytest.approx(f1_score(targets, nearest, average="macro"))
    assert set(values) == {"accuracy", "macro_f1", "ece"}
    for record in records:
        known = {key: record[key] for key in record.keys() - {"metric", "value"}}
        assert known == {
            "task": "animal",
            "probe": "zero-shot",
            "fraction": 1.0,
            "draw": 0,
            "split": "test",
            "num_test": 90,
        }


def test_the_temperature_moves_the_calibration_alone():
    targets = np.arange(30) % 3
    features = np.eye(3)[targets] + np.random.default_rng(1).normal(size=(30, 3)) * 0.5

    def measured(temperature):
        records, _ = zero_shot(
            features,
            targets,
            NAMES,
            lambda texts: np.eye(3),
            templates=["{}"],
            temperature=temperature,
        )
        return {record["metric"]: record["value"] for record in records}

    sharp, flat = measured(0.01), measured(100.0)
    assert sharp["accuracy"] == flat["accuracy"]
    assert flat["ece"] == pytest.approx(flat["accuracy"] - 1 / 3, abs=0.01)
    assert sharp["ece"] == pytest.approx(1 - sharp["accuracy"], abs=0.1)


@pytest.mark.parametrize(
    ("width", "num_targets", "named"), [(5, 3, "channels"), (4, 2, "one label per item")]
)
def test_misfits_are_errors(width, num_targets, named):
    features, targets = np.ones((3, width)), np.zeros(num_targets, np.int64)
    with pytest.raises(ValueError, match=named):
        zero_shot(features, targets, NAMES, encode, templates=TEMPLATES)
