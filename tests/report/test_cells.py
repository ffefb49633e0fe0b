"""Cells are recomputed here from the stored predictions, by other means than the code's."""

import json
from collections import defaultdict

import numpy as np
import pytest
from sklearn.metrics import f1_score

from trivium.report.cells import Cell, group, resamplings_of
from trivium.report.records import read_entries

from .fabricated import fabricate

SKILL = {0.01: 0.2, 0.1: 0.9, 1.0: 1.6}


def scores_of(entries):
    measured = read_entries(entries)
    return group(measured, resamplings_of(measured))


@pytest.fixture(scope="module")
def scores(grid):
    return scores_of(grid)


def test_every_mean_is_that_of_the_stored_predictions(grid, scores):
    expected = defaultdict(list)
    for entry in grid:
        facts = json.loads((entry.probe_folder / "probe.json").read_text())["facts"]
        arrays = dict(np.load(entry.probe_folder / "predictions.npz"))
        labels = arrays.pop("labels")
        for name, predicted in arrays.items():
            probe, fraction, _ = name.split("/")
            key = facts["objective"], probe, float(fraction)
            expected[*key, "accuracy"].append(np.mean(predicted == labels))
            expected[*key, "macro_f1"].append(f1_score(labels, predicted, average="macro"))
    found = {
        (one.cell.objective, one.cell.probe, one.cell.fraction, one.cell.metric): one
        for one in scores
        if one.cell.metric != "ece"
    }
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key].interval.mean == pytest.approx(np.mean(values), abs=1e-6), key


def test_intervals_hold_their_means_and_stay_within_zero_and_one(scores):
    for one in scores:
        low, high = one.interval.low, one.interval.high
        if not np.isnan(low):
            assert 0 <= low <= one.interval.mean <= high <= 1


def test_a_cell_says_what_its_interval_covers(scores):
    found = {one.cell[4:5] + one.cell[6:8] + one.cell[9:]: one for one in scores}
    assert found["simclr", "linear", 0.01, "accuracy"].covers() == ("seeds", "draws", "items")
    assert found["simclr", "linear", 1.0, "accuracy"].covers() == ("seeds", "items")
    assert found["raw", "linear", 1.0, "accuracy"].covers() == ("items",)
    assert found["simclr", "linear", 1.0, "ece"].covers() == ("seeds",)
    row = found["raw", "linear", 1.0, "ece"].row()
    assert row["low"] is None
    assert row["high"] is None
    assert row["num_seeds"] == 1


def test_a_cell_groups_its_seeds(tmp_path):
    entries = [fabricate(tmp_path, "mae", "self_supervised", SKILL, seed=s) for s in range(3)]
    cell = Cell("shapes", "label", "image", "self_supervised", "mae", "vit_nano",
                "linear", 1.0, "test", "accuracy")  # fmt: skip
    three = {one.cell: one for one in scores_of(entries)}[cell]
    assert three.seeds == (0, 1, 2)
    assert three.flops == 2_000_000_000_000


def test_a_seed_that_lacks_a_draw_is_refused(tmp_path):
    entries = [fabricate(tmp_path, "mae", "self_supervised", SKILL, seed=s) for s in range(2)]
    path = entries[1].probe_folder / "probe.json"
    document = json.loads(path.read_text())
    document["records"] = [r for r in document["records"] if r["draw"] != 3]
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=r"shapes x mae .* run the probe stage again"):
        scores_of(entries)


def test_a_record_that_its_predictions_contradict_is_refused(tmp_path):
    entry = fabricate(tmp_path, "mae", "self_supervised", SKILL)
    path = entry.probe_folder / "probe.json"
    document = json.loads(path.read_text())
    document["records"][0]["value"] += 0.01
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="its predictions give"):
        scores_of([entry])


def test_a_record_without_predictions_is_refused(tmp_path):
    entry = fabricate(tmp_path, "mae", "self_supervised", SKILL)
    path = entry.probe_folder / "predictions.npz"
    arrays = dict(np.load(path))
    del arrays["linear/0.01/2"]
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=r"lacks linear/0.01/2"):
        scores_of([entry])
