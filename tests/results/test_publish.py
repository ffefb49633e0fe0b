"""What a part says of itself, and what cannot be published."""

import json

import pytest

from report.fabricated import fabricate

from .published import ENVIRONMENT, compare, publish


def test_what_is_not_in_the_report_is_named(folder):
    with pytest.raises(ValueError, match="holds nothing of stripes"):
        publish(folder, datasets=["stripes"])


def test_without_a_report_nothing_is_published(tmp_path):
    with pytest.raises(FileNotFoundError, match="write the report first"):
        publish(tmp_path)


def test_runs_of_two_machines_are_two_parts(tmp_path):
    entries = [fabricate(tmp_path, "simclr", "self_supervised", SKILL, seed=s) for s in range(3)]
    for entry, cpu in zip(entries, ("x86_64 avx2", "x86_64 avx2", "aarch64 sve"), strict=True):
        said = {**ENVIRONMENT, "cpu": cpu, "commit": "c" * 40, "dirty": cpu.startswith("a")}
        said["identity"] = str(entry.seed)
        (entry.run_folder / "environment.json").write_text(json.dumps(said))
        config = {"budget": {"flops": 5e11, "steps": None}, "trainer": {"precision": "32-true"}}
        (entry.run_folder / "config.yaml").write_text(json.dumps(config))
    found = publish(compare(tmp_path, entries))
    assert {name: facts["cpu"] for name, facts in found.parts.items()} == {
        "default/shapes": "x86_64 avx2",
        "default/shapes (2)": "aarch64 sve",
    }
    runs = found.runs.set_index("seed")
    assert list(runs["part"]) == ["default/shapes", "default/shapes", "default/shapes (2)"]
    assert runs["commit"][0] == "c" * 40
    assert runs["commit"][2] == "c" * 40 + "-dirty"
    assert set(runs["budget"]) == {"5e+11 flops"}
    assert list(runs["identity"]) == ["0", "1", "2"]
    assert found.parts["default/shapes"]["precisions"] == ["32-true"]


SKILL = {0.01: 0.3, 0.1: 0.8, 1.0: 1.2}


def test_leaders_are_the_best_and_what_ties_with_it(results):
    cells = results.cells
    cells = cells[(cells["dataset"] == "dots") & (cells["probe"] == "linear")]
    cells = cells[(cells["metric"] == "accuracy") & (cells["split"] == "test")]
    leading = {
        fraction: set(group[group["leads"]]["objective"])
        for fraction, group in cells.groupby("fraction")
    }
    assert leading[0.01] == {"simclr"}
    assert leading[1.0] == {"simclr", "cross_entropy"}
