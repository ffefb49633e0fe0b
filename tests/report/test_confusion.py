"""What is confused, against pandas and against the report's own accuracy and macro-F1."""

import json

import numpy as np
import pandas as pd
import pytest

from trivium.data.meta import Meta
from trivium.report import summary
from trivium.report.confusion import MOST_CLASSES, class_names, confused, drawn
from trivium.report.records import read_entries
from trivium.report.sections import assemble

from .fabricated import GRID, fabricate_grid


@pytest.fixture(scope="module")
def report(grid):
    return assemble(grid, commit="abc")


@pytest.fixture(scope="module")
def found(report):
    return report.sections[0].confusion


def test_one_objective_speaks_for_each_paradigm(found):
    assert [(one.paradigm, one.objective) for one in found.objectives] == [
        ("supervised", "cross_entropy"), ("unsupervised", "autoencoder"),
        ("self_supervised", "simclr"),
    ]  # fmt: skip
    assert (found.probe, found.fraction) == ("linear", 1.0)
    assert {one.num_seeds for one in found.objectives} == {3}


def test_shares_are_those_that_pandas_counts(grid, found):
    for one in found.objectives:
        tables = []
        for entry in grid:
            if entry.cell == f"shapes-{one.objective}":
                arrays = np.load(entry.probe_folder / "predictions.npz")
                true, predicted = arrays["labels"], arrays["linear/1.0/0"]
                tables.append(pd.crosstab(true, predicted, normalize="index").to_numpy())
        np.testing.assert_allclose(one.shares, np.mean(tables, axis=0))


def test_they_add_up_to_the_tables_accuracy_and_macro_f1(report, found):
    weights = np.array(found.num_items) / sum(found.num_items)
    for one in found.objectives:
        cells = {
            score.cell.metric: score.interval.mean
            for score in report.scores
            if (score.cell.objective, score.cell.probe, score.cell.fraction)
            == (one.objective, "linear", 1.0)
        }
        assert (weights * one.accuracy).sum() == pytest.approx(cells["accuracy"], abs=1e-6)
        assert (weights * np.diag(one.shares)).sum() == pytest.approx(cells["accuracy"], abs=1e-6)
        assert one.f1.mean() == pytest.approx(cells["macro_f1"], abs=1e-4)


def test_pairs_are_the_largest_off_the_diagonal(found):
    shares = [max(pair.shares) for pair in found.pairs]
    assert shares == sorted(shares, reverse=True)
    every = np.stack([one.shares for one in found.objectives])
    every[:, np.arange(4), np.arange(4)] = 0
    assert shares[0] == every.max()
    assert all(pair.true != pair.taken for pair in found.pairs)
    assert f"{100 * shares[0]:.1f}" in "\n".join(summary.confused(found))


def test_maps_hold_the_shares_in_percent(found):
    figures = drawn(found)
    assert list(figures) == [f"confusion-{one.paradigm}" for one in found.objectives]
    (trace,) = figures["confusion-supervised"]["data"]
    np.testing.assert_allclose(trace["z"], 100 * found.objectives[0].shares, atol=0.051)
    assert trace["x"] == list(found.classes)


def test_of_many_classes_only_pairs_are_shown(grid):
    measured = [m for m in read_entries(grid) if m.facts.objective == "simclr"]
    scores = assemble([m.entry for m in measured], commit="abc").scores
    few = confused(scores, measured, ())
    num = len(few.classes) + MOST_CLASSES
    luck = np.random.default_rng(0)
    for one in measured:
        one.labels[:] = luck.integers(num, size=len(one.labels))
    many = confused(scores, measured, ())
    assert drawn(few)
    assert not many.is_drawn
    assert drawn(many) == {}
    assert 0 < len(many.pairs) <= 12


def test_classes_are_called_as_the_store_calls_them(tmp_path, grid):
    names = ("circle", "square", "star", "</script>")
    meta = Meta("shapes", "image", (1, 8, 8), {}, {"label": names}, {}, "", "", "", "", {})
    folder = tmp_path / "shapes"
    folder.mkdir()
    (folder / "meta.json").write_text(meta.to_json())
    assert class_names(tmp_path, "shapes", "label") == names
    assert class_names(tmp_path, "shapes", "size") == ()
    assert class_names(tmp_path, "others", "label") == class_names(None, "shapes", "label") == ()
    known = assemble(grid, commit="abc", stores=tmp_path).sections[0].confusion
    unknown = assemble(grid, commit="abc").sections[0].confusion
    assert known.classes == names
    assert unknown.classes == ("class 0", "class 1", "class 2", "class 3")


def test_validation_chooses_who_speaks(tmp_path):
    entries = fabricate_grid(tmp_path, num_seeds=1)
    worse = fabricate_grid(tmp_path / "more", num_seeds=1)
    (other,) = [one for one in worse if one.cell == "shapes-simclr"]
    held_out(other, 0.9, objective="byol")
    (own,) = [one for one in entries if one.cell == "shapes-simclr"]
    held_out(own, 0.8)
    section = assemble([*entries, other], commit="abc").sections[0]
    spoken = {one.paradigm: one.objective for one in section.confusion.objectives}
    assert spoken == {**{way: name for name, (way, _) in GRID.items() if way != "control"},
                      "self_supervised": "byol"}  # fmt: skip


def held_out(entry, accuracy, objective=None):
    path = entry.probe_folder / "probe.json"
    document = json.loads(path.read_text())
    document["facts"]["objective"] = objective or document["facts"]["objective"]
    document["records"].append(
        {"task": "label", "probe": "linear", "fraction": 1.0, "draw": 0, "split": "validation",
         "metric": "accuracy", "value": accuracy, "num_test": 40, "C": 1.0}
    )  # fmt: skip
    path.write_text(json.dumps(document))
