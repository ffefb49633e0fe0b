"""What is recorded without labels, on which items, and what is kept for CKA."""

import numpy as np
import pytest
from hydra.utils import instantiate

from trivium.data.store import Store
from trivium.evaluation.label_free import LabelFree, with_label_free
from trivium.evaluation.representation import alignment, lidar, linear_cka, rankme, uniformity
from trivium.evaluation.results import Evaluation, read_evaluation, write_evaluation
from yamls import read

RNG = np.random.default_rng(0)
EVALUATION = Evaluation("2", "abc", {"task": "label"}, ({"metric": "accuracy"},), {})


class HeldOut(Store):
    def __init__(self, num):
        self.held_out = np.arange(num) * 3

    def split(self, name):
        return {"validation": self.held_out}[name]

    def labels(self, task):
        raise AssertionError("no label is read")

    groups = fraction = labels


def test_the_items_are_some_of_validation_and_always_the_same():
    settings = LabelFree(num_items=50)
    items = settings.items(HeldOut(400))
    assert len(set(items)) == 50
    assert set(items) < set(HeldOut(400).held_out)
    assert items.max() > 900  # from all of the split
    np.testing.assert_array_equal(items, LabelFree(num_items=50).items(HeldOut(400)))
    assert sorted(settings.items(HeldOut(20))) == HeldOut(20).held_out.tolist()


def test_recipes_are_by_modality_and_by_column():
    settings = LabelFree(views={"image": 1, "audio": 2, "wave": 3})
    assert settings.recipe("image", None) == 1
    assert settings.recipe("audio", "mel") == 2
    assert settings.recipe("audio", "wave") == 3
    assert settings.recipe("text", None) is None


@pytest.mark.parametrize("wrong", [{"num_items": 3}, {"num_views": 1}])
def test_too_few_are_refused(wrong):
    with pytest.raises(ValueError, match="num_items must be at least 4 and num_views"):
        LabelFree(**wrong)


def test_records_are_the_diagnostics_beside_what_was_there():
    features, views = RNG.normal(size=(80, 20)), RNG.normal(size=(80, 4, 20))
    found = with_label_free(EVALUATION, features, views, "kind")
    assert found.records[0] == {"metric": "accuracy"}
    values = {record["metric"]: record["value"] for record in found.records[1:]}
    assert list(values) == ["rankme", "alpha_req", "uniformity", "alignment", "lidar"]
    assert values["rankme"] == rankme(features)
    assert values["uniformity"] == uniformity(features)
    assert values["alignment"] == alignment(views)
    assert values["lidar"] == lidar(views)
    for record in found.records[1:]:
        assert (record["probe"], record["split"], record["task"]) == (
            "diagnostics",
            "validation",
            "kind",
        )
        assert record["num_test"] == 80


def test_without_views_and_with_few_channels_the_rest_is_recorded():
    found = with_label_free(EVALUATION, RNG.normal(size=(80, 5)), None, "kind")
    assert [record["metric"] for record in found.records[1:]] == ["rankme", "uniformity"]


def test_a_collapsed_encoder_is_recorded_where_it_can_be():
    features = np.zeros((30, 20), np.float32)
    found = with_label_free(EVALUATION, features, np.zeros((30, 2, 20)), "kind")
    metrics = [record["metric"] for record in found.records[1:]]
    assert metrics == ["uniformity", "alignment"]
    assert np.isfinite(found.features).all()


def test_what_is_kept_is_all_that_cka_needs(tmp_path):
    features = 1e6 * RNG.normal(size=(90, 7)) + 1e8  # beyond half precision
    other = RNG.normal(size=(90, 5)) + features[:, :5] / 1e6
    found = with_label_free(EVALUATION, features, None, "kind")
    write_evaluation(found, tmp_path)
    kept = read_evaluation(tmp_path).features
    assert kept.dtype == np.float16
    expected = linear_cka(features, other)
    assert linear_cka(kept.astype(np.float64), other) == pytest.approx(expected, abs=2e-3)
    write_evaluation(EVALUATION, tmp_path)
    assert read_evaluation(tmp_path).features is None


def test_the_config_holds_the_defaults_and_a_recipe_of_each_modality():
    settings = instantiate(read("label_free/default.yaml"))
    assert (settings.num_items, settings.num_views) == (512, 8)
    assert (LabelFree().num_items, LabelFree().num_views) == (512, 8)
    assert list(settings.views) == ["image", "text", "audio", "wave"]
    assert settings.recipe("audio", "wave").gives == "wave"
    assert settings.recipe("audio", "mel").gives == "mel"
