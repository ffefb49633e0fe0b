"""Probes and fine-tuning of one encoder are one row of the report."""

import json

import numpy as np
import pytest

from trivium.report.records import read_entries
from trivium.report.sections import assemble

from .fabricated import fabricate

SKILL = {0.01: 0.2, 0.1: 0.9, 1.0: 1.6}


@pytest.fixture
def entries(tmp_path):
    """Two objectives with three seeds, of which one was fine-tuned as well."""
    found = []
    for seed in range(3):
        found.append(fabricate(tmp_path / "a", "simclr", "self_supervised", SKILL, seed=seed))
        settings = {"seed": seed, "probes": ("finetune",), "with_run": False}
        tuned = fabricate(tmp_path / "b", "simclr", "self_supervised", SKILL, **settings)
        found.append(tuned._replace(run_folder=found[-1].run_folder))
        found.append(fabricate(tmp_path / "a", "untrained", "control", SKILL, seed=seed))
    return found


def test_they_are_joined_and_others_stay(entries):
    measured = read_entries(entries)
    assert [one.facts.objective for one in measured] == ["simclr", "untrained"] * 3
    first, other = measured[:2]
    assert {key.probe for key in first.predictions} == {"linear", "knn", "finetune"}
    assert {record.probe for record in first.records} == {"linear", "knn", "finetune"}
    assert {key.probe for key in other.predictions} == {"linear", "knn"}
    assert first.entry == entries[0]


def test_what_was_not_fine_tuned_shows_a_dash(entries):
    report = assemble(entries, commit="c")
    (table,) = (one for one in report.sections[0].tables if one.metric == "accuracy")
    columns = [n for n, (probe, _) in enumerate(table.columns) if probe == "finetune"]
    assert [table.heads[n] for n in columns] == [
        "fine-tuning 1 %", "fine-tuning 10 %", "fine-tuning 100 %",
    ]  # fmt: skip
    rows = {row.objective: row for row in table.rows}
    assert all(rows["simclr"].entries[n] is not None for n in columns)
    assert all(rows["untrained"].entries[n] is None for n in columns)
    assert not [one for one in report.comparisons if one.first.probe == "finetune"]


def test_the_same_probe_twice_is_refused(tmp_path, entries):
    twice = fabricate(tmp_path / "c", "simclr", "self_supervised", SKILL)
    with pytest.raises(ValueError, match="both hold seed 0"):
        read_entries([*entries, twice])


def test_other_test_items_are_refused(entries):
    path = entries[1].probe_folder / "predictions.npz"
    arrays = dict(np.load(path))
    np.savez(path, **arrays | {"labels": arrays["labels"][::-1]})
    with pytest.raises(ValueError, match="different items"):
        read_entries(entries)


def test_of_two_encoders_nothing_is_joined(entries):
    path = entries[1].probe_folder / "probe.json"
    document = json.loads(path.read_text())
    document["facts"]["flops"] = 5
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="both hold seed 0"):
        read_entries(entries)
