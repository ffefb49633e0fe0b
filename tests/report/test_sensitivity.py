"""Varied probes in the report: apart from the tables, and compared by the ranking they give."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from trivium.report.report import write_report
from trivium.report.sections import assemble
from trivium.report.sensitivity import sensitive
from trivium.report.summary import probes

from .fabricated import fabricate

LEVELS = {  # of the protocol's probe, and of the first and the last layer
    "cross_entropy": ("supervised", 1.5, -1.0),
    "vae": ("unsupervised", 0.9, -0.5),
    "simclr": ("self_supervised", 0.3, 0.5),
    "mae": ("self_supervised", -0.3, 1.0),
    "untrained": ("control", -1.0, 1.5),
}


def vary(entry, levels):
    """Records and predictions of `linear/NAME` at a tenth of the labels, in three draws."""
    path, arrays = (
        entry.probe_folder / "probe.json",
        dict(np.load(entry.probe_folder / "predictions.npz")),
    )
    document, labels = json.loads(path.read_text()), arrays["labels"]
    difficulty = np.random.default_rng(8).normal(size=len(labels))
    for name, level in levels.items():
        for draw in range(3):
            luck = np.random.default_rng([draw, entry.seed, len(name)]).normal(size=len(labels))
            predicted = np.where(level + 0.1 * luck > difficulty, labels, (labels + 1) % 4)
            arrays[f"linear/{name}/0.1/{draw}"] = predicted.astype(np.int16)
            document["records"].append(
                {"task": "label", "probe": f"linear/{name}", "fraction": 0.1, "draw": draw,
                 "split": "test", "metric": "accuracy", "num_test": len(labels), "C": 1.0,
                 "value": float((predicted == labels).mean())}
            )  # fmt: skip
    path.write_text(json.dumps(document))
    np.savez(entry.probe_folder / "predictions.npz", **arrays)


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    root, found = tmp_path_factory.mktemp("varied"), []
    for objective, (paradigm, last, first) in LEVELS.items():
        for seed in range(2):
            skill = dict.fromkeys((0.01, 0.1, 1.0), last)
            found.append(fabricate(root, objective, paradigm, skill, seed=seed))
            vary(found[-1], {"layer 0": first, "layer 1": last, "one scale": last})
    return found


@pytest.fixture(scope="module")
def report(entries):
    return assemble(entries, commit="0" * 40)


def test_no_table_and_no_comparison_knows_of_them(report):
    (section,) = report.sections
    for table in section.tables:
        assert {probe for probe, _ in table.columns} == {"linear", "knn"}
    assert not any("/" in one.cell.probe for one in report.scores)
    assert not any("/" in one.first.probe for one in report.comparisons)
    assert any(record["probe"] == "linear/layer 0" for record in report.records)


def test_an_encoder_is_named_where_other_tables_of_the_place_name_it(report):
    variations = [
        replace(one, cell=one.cell._replace(probe="linear/layer 0"))
        for one in report.scores
        if (one.cell.probe, one.cell.metric, one.cell.split, one.cell.fraction)
        == ("linear", "accuracy", "test", 0.1)
    ]
    first = report.scores[0]
    tower = replace(first, cell=first.cell._replace(encoder="towers"))  # has no variations
    alone = {row.label for row in sensitive(report.scores, variations).rows}
    beside = {row.label for row in sensitive([*report.scores, tower], variations).rows}
    assert len(alone) == len(LEVELS)
    assert beside == {f"{name} · {first.cell.encoder}" for name in alone}


def test_columns_are_the_protocol_s_then_scalings_then_layers(report):
    found = report.sections[0].sensitivity
    assert found.fraction == 0.1
    assert found.heads == ("linear", "kNN", "one scale", "layer 0", "layer 1")
    assert len(found.rows) == len(LEVELS)
    for row in found.rows:
        assert all(entry.bounds[0] <= entry.mean <= entry.bounds[1] for entry in row.entries)


def test_tau_is_scipy_s_of_the_means_and_its_interval_holds_it(report):
    found = report.sections[0].sensitivity
    by_name = {one.name: one for one in found.agreements}
    assert set(by_name) == set(found.columns) - {"linear"}
    for name, one in by_name.items():
        means = [
            [row.entries[found.columns.index(column)].mean for row in found.rows]
            for column in ("linear", name)
        ]
        assert one.tau == pytest.approx(stats.kendalltau(*means).statistic)
        assert -1 <= one.low <= one.tau + 1e-9 <= one.high + 2e-9 <= 1 + 3e-9
        assert one.num_ways == len(LEVELS)
    assert by_name["linear/layer 1"].tau == pytest.approx(1)
    assert by_name["linear/layer 0"].tau == pytest.approx(-1)
    assert "same ranking" in by_name["linear/layer 1"].sentence
    assert "another ranking" in by_name["linear/layer 0"].sentence


def test_the_report_says_it(entries, tmp_path, report):
    write_report(entries, tmp_path, commit="abc")
    said = "\n\n".join(probes(report.sections[0].sensitivity))
    assert said in (tmp_path / "report.md").read_text()
    page = (tmp_path / "shapes.html").read_text()
    assert report.sections[0].sensitivity.agreements[0].sentence in page
    assert '"1-layers"' in page


def test_variations_at_labels_that_the_protocol_does_not_know_are_left_out(report):
    every = report.scores
    varied = [one for one in every if one.cell.fraction == 0.1 and one.cell.probe == "knn"]
    varied = [replace(one, cell=one.cell._replace(probe="linear/one scale")) for one in varied]
    assert sensitive(every, varied) is not None
    assert sensitive([one for one in every if one.cell.fraction != 0.1], varied) is None


def test_names_are_those_of_the_variation(report):
    found = report.sections[0].sensitivity
    heads = dict(zip(found.columns, found.heads, strict=True))
    assert heads["linear/layer 1"] == "layer 1"
    assert heads["knn"] == "kNN"
