"""Diagnostics on fabricated probe folders whose truth is known."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from trivium.report.label_free import label_free, spearman
from trivium.report.report import write_report
from trivium.report.sections import assemble
from trivium.report.summary import diagnostics

from .fabricated import fabricate

WAYS = {  # accuracy and RankMe rise together, alignment tells nothing
    "cross_entropy": ("supervised", 1.2, 10.0, 0.5),
    "vae": ("unsupervised", 0.9, 8.0, 0.2),
    "autoencoder": ("unsupervised", 0.6, 6.0, 0.9),
    "mae": ("self_supervised", 0.3, 4.0, 0.3),
    "simclr": ("self_supervised", 0.0, 2.0, 0.6),
    "untrained": ("control", -0.5, 1.5, 0.1),
}


def add(entry, rank, apart, seed):
    """Records of two diagnostics, and features: those of MAE and SimCLR are one another's turn."""
    path = entry.probe_folder / "probe.json"
    document = json.loads(path.read_text())
    for metric, value in (("rankme", rank + 0.01 * seed), ("alignment", apart), ("alpha_req", 1.5)):
        document["records"].append(
            {"task": "label", "probe": "diagnostics", "fraction": 1.0, "draw": 0,
             "split": "validation", "metric": metric, "value": value, "num_test": 40}
        )  # fmt: skip
    path.write_text(json.dumps(document))
    shared = np.random.default_rng(1).normal(size=(40, 6))
    own = np.random.default_rng([seed, int(100 * rank)]).normal(size=(40, 6))
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6)))[0]
    is_shared = document["facts"]["objective"] in ("mae", "simclr")
    features = shared @ turn if is_shared else own
    np.save(entry.probe_folder / "features.npy", features.astype(np.float16))


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    root, found = tmp_path_factory.mktemp("grid"), []
    for objective, (paradigm, level, rank, apart) in WAYS.items():
        for seed in range(2):
            skill = dict.fromkeys((0.01, 0.1, 1.0), level)
            found.append(fabricate(root, objective, paradigm, skill, seed=seed))
            add(found[-1], rank, apart, seed)
    return found


@pytest.fixture(scope="module")
def section(entries):
    (found,) = assemble(entries, commit="0" * 40).sections
    return found


def test_the_rows_are_means_over_the_seeds(section):
    found = section.diagnosis
    assert found.metrics == ("rankme", "alpha_req", "alignment")
    values = {row.objective: [entry.mean for entry in row.entries] for row in found.rows}
    assert set(values) == set(WAYS)
    assert values["mae"] == pytest.approx([4.005, 1.5, 0.3])
    assert not any(entry.leads for row in found.rows for entry in row.entries)


def test_rank_foretells_accuracy_and_alignment_does_not(section):
    rank, apart = section.diagnosis.foretold  # a constant has no correlation
    assert section.diagnosis.probe == "linear"
    assert (rank.metric, apart.metric) == ("rankme", "alignment")
    assert len(rank.names) == 5  # without the control
    assert rank.rho == pytest.approx(1)
    assert 0 < rank.low < 0.5  # five in order may be luck
    assert apart.low < 0 < apart.high
    assert "RankMe: accuracy rises with it (Spearman's rho +1.00" in rank.sentence
    assert "alignment: it does not tell who is better" in apart.sentence


def test_features_that_are_a_turn_of_each_other_are_alike(section):
    found = section.diagnosis.likeness
    at = {name: index for index, name in enumerate(found.names)}
    assert found.values[at["MAE"], at["SimCLR"]] == pytest.approx(1, abs=1e-3)
    assert found.values[at["MAE"], at["MAE"]] == pytest.approx(1, abs=1e-3)
    assert abs(found.values[at["VAE"], at["MAE"]]) < 0.3
    assert abs(found.values[at["VAE"], at["VAE"]]) < 0.3  # two seeds, unrelated here
    np.testing.assert_array_equal(found.values, found.values.T)


def test_both_are_drawn_and_written(entries, section, tmp_path):
    assert {"foretold", "likeness"} <= section.drawn.keys()
    drawn = section.drawn["likeness"]["data"][0]
    assert len(drawn["z"]) == len(drawn["x"]) == len(WAYS)
    write_report(entries, tmp_path, commit="0" * 40)
    page = (tmp_path / "shapes.html").read_text()
    assert "What shows without labels?" in page
    assert "Do they learn the same?" in page
    assert "accuracy rises with it" in page
    assert "| CKA |" in (tmp_path / "report.md").read_text()
    assert "accuracy rises with it" in "\n".join(diagnostics(section.diagnosis))


def test_without_diagnostics_nothing_is_said(tmp_path):
    skill = dict.fromkeys((0.01, 0.1, 1.0), 0.5)
    entry = fabricate(tmp_path, "mae", "self_supervised", skill)
    (found,) = assemble([entry], commit="0" * 40).sections
    assert found.diagnosis is None
    assert not {"foretold", "likeness"} & found.drawn.keys()


def test_too_few_encoders_foretell_nothing(entries):
    some = [one for one in entries if any(n in one.cell for n in ("mae", "vae", "untrained"))]
    (found,) = assemble(some, commit="0" * 40).sections
    assert found.diagnosis.foretold == ()
    assert "foretold" not in found.drawn


def test_one_seed_has_no_diagonal(entries):
    some = [one for one in entries if one.seed == 0]
    (found,) = assemble(some, commit="0" * 40).sections
    assert all(math.isnan(value) for value in np.diag(found.diagnosis.likeness.values))
    assert None in found.drawn["likeness"]["data"][0]["z"][0]


def test_nothing_comes_of_nothing():
    assert label_free([], []) is None


def test_spearman_is_scipys_and_its_interval_covers():
    rng = np.random.default_rng(0)
    first = rng.normal(size=20)
    second = first + rng.normal(size=20)
    assert spearman(first.tolist(), second.tolist())[0] == pytest.approx(
        stats.spearmanr(first, second).statistic
    )
    assert all(math.isnan(value) for value in spearman([1.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]))
    truth = 6 / np.pi * np.arcsin(0.6 / 2)  # of a normal with correlation 0.6
    covered = 0
    for _ in range(400):
        x = rng.normal(size=15)
        y = 0.6 * x + 0.8 * rng.normal(size=15)
        _, low, high = spearman(x.tolist(), y.tolist())
        covered += low <= truth <= high
    assert covered / 400 > 0.91


def test_active_units_are_those_of_the_last_step_over_the_seeds(entries):
    for entry, units in zip([e for e in entries if "vae" in e.cell], (12, 14), strict=True):
        path = entry.run_folder / "metrics.json"
        document = json.loads(path.read_text())
        document["final"]["active_units"] = units
        path.write_text(json.dumps(document))
    (section,) = assemble(entries, commit="0" * 40).sections
    (found,) = section.diagnosis.activities
    assert (found.objective, found.units) == ("vae", (12.0, 14.0))
    assert found.sentence in "\n".join(diagnostics(section.diagnosis))
    assert "13 active units" in found.sentence
    assert "(12 to 14), 2 seeds" in found.sentence
