"""Varied probes: other layers and scalings of the same features, on the protocol's draws."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from trivium.evaluation.checks import unit_rows
from trivium.evaluation.label_free import COMMON, UNIT, Sensitivity, with_sensitivity
from trivium.evaluation.linear import LinearProbe
from trivium.evaluation.protocol import Protocol, evaluate

PROTOCOL = Protocol(fractions=(1.0,), probes=("linear",), C=(0.01, 1.0))


def varied(shop, layers=None, **settings):
    features, store = shop
    before = evaluate(features, store, PROTOCOL, {"task": "label"})
    return before, with_sensitivity(
        before, features, layers, store, PROTOCOL, Sensitivity(**settings)
    )


def test_every_variation_is_recorded_at_every_draw(shop):
    layers = np.stack([shop[0][:, ::-1], shop[0]], axis=1)
    before, found = varied(shop, layers, num_draws=2)
    new = found.records[len(before.records) :]
    assert found.records[: len(before.records)] == before.records
    names = [COMMON, UNIT, "layer 0", "layer 1"]
    assert [(one["probe"], one["draw"]) for one in new] == [
        (f"linear/{name}", draw) for name in names for draw in (0, 1)
    ]
    test = shop[1].split("test")
    labels = shop[1].labels("label")[test]
    for one in new:
        key = f"{one['probe']}/{one['fraction']}/{one['draw']}"
        assert one["value"] == np.mean(found.predictions[key] == labels)
        assert (one["split"], one["fraction"], one["num_test"]) == ("test", 0.1, len(test))


def test_a_layer_is_probed_as_the_protocol_probes_features(shop):
    features, store = shop
    _, found = varied(shop, features[:, None], fraction=1.0)
    protocol = evaluate(features, store, PROTOCOL, {"task": "label"})
    np.testing.assert_array_equal(
        found.predictions["linear/layer 0/1.0/0"], protocol.predictions["linear/1.0/0"]
    )


def test_with_one_scale_small_channels_weigh_less(shop):
    features, store = shop
    train, test = store.split("train"), store.split("test")
    labels = store.labels("label")
    probe = LinearProbe((0.1,), common_scale=True, tolerance=1e-10).fit(
        features[train], labels[train]
    )
    features = features.astype(float)
    centred = features[train] - features[train].mean(0)
    scale = np.sqrt((centred**2).mean())
    known = LogisticRegression(C=0.1, tol=1e-10, max_iter=5000).fit(centred / scale, labels[train])
    np.testing.assert_allclose(probe.coef_, known.coef_ - known.coef_.mean(0), atol=1e-4)
    shifted = (features[test] - features[train].mean(0)) / scale
    np.testing.assert_array_equal(probe.predict(features[test]), known.predict(shifted))


def test_unit_length_ignores_how_long_features_are(shop):
    features, store = shop
    long = features * np.random.default_rng(0).uniform(1, 50, (len(features), 1)).astype("f4")
    _, one = varied((features, store))
    _, other = varied((long, store))
    key = f"linear/{UNIT}/0.1/0"
    np.testing.assert_array_equal(one.predictions[key], other.predictions[key])
    np.testing.assert_allclose(unit_rows(features), unit_rows(long), atol=1e-6)


def test_layers_of_other_items_are_not_asked_for(shop):
    features, store = shop
    items = Sensitivity().items(store, "label")
    assert 0 < len(items) < len(features)
    layers = np.full((len(features), 1, features.shape[1]), np.nan, np.float32)
    layers[items, 0] = features[items]
    _, found = varied(shop, layers)
    _, known = varied(shop, features[:, None])
    assert found.records == known.records


@pytest.mark.parametrize("wrong", [{"fraction": 0.0}, {"fraction": 1.5}, {"num_draws": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"fraction must lie in \(0, 1\]"):
        Sensitivity(**wrong)
