"""Ranks over datasets: against Demšar's published figures, and on fabricated folders."""

import json

import numpy as np
import pytest
from scipy import stats

from trivium.report import summary
from trivium.report.ranking import critical_difference, rankings
from trivium.report.report import write_report
from trivium.report.sections import assemble

from .fabricated import fabricate

SKILLS = {  # of the paradigms, by dataset
    "cross_entropy": ("supervised", 1.5),
    "vae": ("unsupervised", 0.6),
    "mae": ("self_supervised", 0.65),
    "untrained": ("control", -0.4),
    "raw": ("control", 0.1),
}
DATASETS = ("marks", "notes", "shapes", "signs", "tones", "words")


def validated(entry, accuracy):
    """Records of validation accuracy for the linear probe."""
    path = entry.probe_folder / "probe.json"
    document = json.loads(path.read_text())
    document["records"] += [
        {**record, "split": "validation", "value": accuracy}
        for record in document["records"]
        if record["metric"] == "accuracy" and record["probe"] == "linear"
    ]
    path.write_text(json.dumps(document))


def fabricated(root, datasets=DATASETS):
    found = []
    for number, dataset in enumerate(datasets):
        for objective, (paradigm, level) in SKILLS.items():
            # The two in the middle take turns.
            turn = 0.3 * (-1) ** number if objective == "vae" else 0
            skill = dict.fromkeys((0.01, 0.1, 1.0), level + turn)
            found.append(fabricate(root, objective, paradigm, skill, dataset=dataset))
    return found


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    return fabricated(tmp_path_factory.mktemp("grid"))


@pytest.fixture(scope="module")
def found(entries):
    return assemble(entries, commit="0" * 40).rankings


@pytest.mark.parametrize(
    ("num_ways", "num_datasets", "quantile"), [(2, 10, 1.960), (4, 14, 2.569), (10, 30, 3.164)]
)
def test_the_critical_difference_is_that_of_demsars_table(num_ways, num_datasets, quantile):
    expected = quantile * np.sqrt(num_ways * (num_ways + 1) / (6 * num_datasets))
    assert critical_difference(num_ways, num_datasets) == pytest.approx(expected, rel=1e-3)


def test_ranks_are_means_over_the_datasets(found):
    assert [one.fraction for one in found] == [0.01, 0.1, 1.0]
    last = found[-1]
    assert (last.probe, last.datasets) == ("linear", DATASETS)
    means = {one.name: one.mean for one in last.ranks}
    assert means["supervised"] == 1
    assert means["untrained encoder"] == 5
    assert means["unsupervised"] == pytest.approx(2.5, abs=0.51)
    assert sum(means.values()) == pytest.approx(15)
    assert list(means.values()) == sorted(means.values())


def test_friedman_is_scipys(found):
    last = found[-1]
    ranks = np.array([one.ranks for one in last.ranks])
    assert last.p == pytest.approx(stats.friedmanchisquare(*ranks).pvalue)
    assert last.p < 0.01


def test_groups_are_the_largest_sets_within_the_critical_difference(found):
    last = found[-1]
    means = {one.name: one.mean for one in last.ranks}
    for group in last.groups:
        assert means[group[-1]] - means[group[0]] < last.critical
    assert any({"unsupervised", "self-supervised"} <= set(group) for group in last.groups)
    assert not any({"supervised", "untrained encoder"} <= set(group) for group in last.groups)


def test_validation_chooses_who_speaks(tmp_path):
    entries = fabricated(tmp_path, DATASETS[:3])
    skill = dict.fromkeys((0.01, 0.1, 1.0), 3.0)
    for dataset in DATASETS[:3]:  # the best on test, but not on validation
        entries.append(fabricate(tmp_path, "simclr", "self_supervised", skill, dataset=dataset))
        validated(entries[-1], 0.3)
    for entry in entries:
        if "mae" in str(entry.probe_folder):
            validated(entry, 0.4)
    (one, *_) = assemble(entries, commit="0" * 40).rankings
    spoken = {rank.name: rank.objectives for rank in one.ranks}
    assert spoken["self-supervised"] == ("mae",) * 3


def test_fewer_than_three_datasets_have_no_ranking(tmp_path):
    assert assemble(fabricated(tmp_path, DATASETS[:2]), commit="0" * 40).rankings == ()
    assert rankings([]) == ()


def test_a_dataset_that_lacks_a_way_is_left_out(entries):
    some = [one for one in entries if "tones-vae" not in str(one.probe_folder)]
    found = assemble(some, commit="0" * 40).rankings
    assert found[0].datasets == tuple(name for name in DATASETS if name != "tones")


def test_the_overview_and_the_markdown_say_it(entries, found, tmp_path):
    write_report(entries, tmp_path, commit="0" * 40)
    page = (tmp_path / "index.html").read_text()
    assert "Which way of learning, over all datasets?" in page
    assert 'data-figure="standing"' in page
    assert "mean ranks supervised 1.00" in page
    for name in ("report.md", "results.md"):
        assert "\n\n".join(summary.rankings(found)) in (tmp_path / name).read_text()
