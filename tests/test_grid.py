"""What a grid's yaml means: its cells, the jobs of every stage, and what of it is finished."""

import pytest

import finished
from trivium.compose import grid_names, grid_values
from trivium.config import pretraining_values
from trivium.grid import Grid
from yamls import begin

FAST = ["encoder.patch=8"]
LOOSE = {"objectives": ["simclr"], "overrides": FAST}
KNOWN = []


@pytest.fixture(autouse=True)
def hydra():
    with begin():
        yield


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder in which runs are looked for."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def grid_with(cells, **more):
    grid = Grid({"name": "small", "seeds": [0, 1], **more, "cells": cells})
    KNOWN.append(grid.compositions)  # what was composed for one test is known to the others
    grid.compositions = KNOWN[0]
    return grid


def only(**entry):
    return grid_with({"synthetic": LOOSE | entry})


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"objectives": ["gan"]}, "grid.cells.synthetic asks for the objective 'gan'; known are: "),
        ({"objectives": []}, "grid.cells.synthetic names no objectives"),
        ({"seeds": [0]}, "grid.cells.synthetic.seeds is unknown; an entry has: data, finetune"),
        ({"finetuned": ["vae"]}, "grid.cells.synthetic: vae of `finetuned` is not in `objectives`"),
        ({"finetuned": ["gan"]}, "asks for the objective 'gan'"),
    ],
)
def test_a_wrong_entry_is_one_clear_error(entry, words):
    with pytest.raises(ValueError, match=words):
        only(**entry)


def test_a_wrong_key_of_the_grid_is_one_clear_error():
    with pytest.raises(ValueError, match=r"grid\.dataset is unknown; a grid has: cells, index"):
        grid_with({"synthetic": LOOSE}, dataset="synthetic")


def test_a_grid_that_is_not_there_is_one_clear_error():
    assert {"default", "full", "all", "scaling", "tiny"} <= set(grid_names())
    with pytest.raises(ValueError, match=r"no grid 'nowhere' in conf/grid; there are: all, def"):
        grid_values("nowhere")


def test_a_method_may_be_named_with_or_without_its_paradigm():
    one, two = only(), only(objectives=["self_supervised/simclr"])
    assert one.cells == two.cells
    assert one.cells[0].objective == "self_supervised/simclr"
    assert one.cells[0].name == "synthetic-simclr"


def test_overrides_of_the_grid_win_over_those_of_a_point_and_of_an_entry():
    more = {"overrides": ["b=1"], "points": {"small": ["c=1"], "large": []}}
    grid = grid_with({"synthetic": LOOSE | more}, overrides=["a=1"])
    small, large = grid.cells
    assert small.overrides == ("b=1", "c=1", "a=1")
    assert large.overrides == ("b=1", "a=1")
    assert (small.name, large.name) == ("synthetic-simclr-small", "synthetic-simclr-large")


def test_all_objectives_are_those_that_learn_from_the_modality():
    cells = only(objectives="all").cells
    methods = [cell.name.removeprefix("synthetic-") for cell in cells]
    assert len(set(methods)) == len(methods)
    assert {"simclr", "vae", "cross_entropy", "untrained"} <= set(methods)
    assert {"gpt", "clip", "hubert"}.isdisjoint(methods)


def test_an_entry_may_be_a_part_of_several_modalities():
    entry = {**LOOSE, "data": "synthetic_pairs", "part": "image"}
    grid = grid_with({"pictures": entry})
    (cell,) = grid.cells
    assert (cell.dataset, cell.name) == (
        "synthetic_pairs.image", "synthetic_pairs.image-simclr",
    )  # fmt: skip
    job = grid.run(cell, 1)
    assert {"data=synthetic_pairs", "part=image", "seed=1"} <= set(job.overrides)
    assert job.values["cell"] == "synthetic_pairs.image-simclr"
    assert "part=image" in grid.probes(cell, 1)[0].overrides
    assert grid.raw_datasets() == []  # the whole has its own raw probe


def test_every_cell_has_a_run_for_each_seed_and_a_dataset_one_raw_probe(place):
    grid = only(objectives=["simclr", "vae"])
    runs = [job.name for job in grid.jobs("pretrain")]
    assert runs == [f"synthetic-{one}-{seed}" for one in ("simclr", "vae") for seed in (0, 1)]
    assert [job.name for job in grid.jobs("probe")] == ["synthetic-raw", *runs]
    assert [job.name for job in grid.jobs("prepare")] == ["synthetic"]
    assert grid.jobs("finetune") == []
    with pytest.raises(ValueError, match="no jobs for compare"):
        grid.jobs("compare")


def test_what_is_fine_tuned_is_named(place):
    grid = only(objectives=["simclr", "vae"], finetuned=["vae"], finetune=["fractions=[1.0]"])
    jobs = grid.jobs("finetune")
    assert [job.name for job in jobs] == ["synthetic-vae-0", "synthetic-vae-1"]
    assert all(job.values["fractions"] == [1.0] for job in jobs)


def test_an_encoder_may_be_probed_on_other_data(place):
    grid = grid_with(
        {
            "synthetic": LOOSE | {"probe_on": ["mnist"]},
            "mnist": LOOSE | {"probe": ["more_tasks=[x]"]},
        }
    )
    cell = grid.cells[0]
    (job,) = grid.probes(cell, 0)
    assert job.name == "synthetic-simclr-0 on mnist"
    assert job.values["data"]["name"] == "mnist"
    assert job.values["more_tasks"] == ["x"]  # as that dataset's own probes
    assert grid.raw_datasets() == ["mnist"]
    assert {job.values["data"]["name"] for job in grid.jobs("prepare")} == {"synthetic", "mnist"}


def test_jobs_are_finished_stage_by_stage(place):
    grid = only(finetuned=["simclr"])
    (cell,) = grid.cells
    assert not grid.jobs("prepare")[0].done
    job = grid.run(cell, 0)
    assert (job.folder, job.identity, job.done) == (None, None, False)
    assert grid.probes(cell, 0)[0].blocked == "synthetic-simclr-0 is not pretrained"
    assert grid.raw("synthetic").blocked == "synthetic is not prepared"

    finished.prepared(job.values)
    assert grid.jobs("prepare")[0].done
    job = grid.run(cell, 0)
    assert job.folder.name == f"synthetic-simclr-0-{job.identity}"
    assert not job.done

    finished.pretrained(job)
    assert grid.run(cell, 0).done
    assert not grid.run(cell, 1).done
    (probe,), tuning = grid.probes(cell, 0), grid.finetuning(cell, 0)
    assert (probe.blocked, probe.done, tuning.done) == ("", False, False)
    assert f"checkpoint={job.folder}" in probe.overrides
    assert probe.folder.parts[:2] == ("outputs", "probes")
    assert tuning.folder.parts[:2] == ("outputs", "finetuned")

    finished.measured(probe)
    assert grid.probes(cell, 0)[0].done
    assert not grid.finetuning(cell, 0).done


def test_a_run_is_planned_once_for_its_own_stage_its_probes_and_its_fine_tuning(place, monkeypatch):
    composed = []

    def counted(values):
        composed.append(values["seed"])
        return pretraining_values(values)

    monkeypatch.setattr("trivium.grid.pretraining_values", counted)
    grid = only(finetuned=["simclr"], probe_on=["mnist", "synthetic"])
    for stage in ("pretrain", "probe", "finetune"):
        grid.jobs(stage)
    assert composed == [0, 1]


def test_an_override_of_a_job_makes_another_run(place):
    grid = only()
    finished.prepared(grid.run(grid.cells[0], 0).values)
    one, two = (grid.run(grid.cells[0], 0, extra) for extra in ((), ("objective.temperature=0.2",)))
    assert one.identity != two.identity
    assert two.overrides[-2:] == ("objective.temperature=0.2", "seed=0")


def test_a_report_names_what_is_missing_and_knows_what_is_there(place):
    grid = grid_with({"synthetic": LOOSE}, seeds=[0])
    (cell,) = grid.cells
    with pytest.raises(LookupError, match="synthetic-raw is not measured yet"):
        grid.report_entries()
    finished.prepared(grid.run(cell, 0).values)
    finished.measured(raw := grid.raw("synthetic"))
    with pytest.raises(LookupError, match=r"synthetic-simclr-0 is not measured yet \(synthetic-s"):
        grid.report_entries()
    finished.pretrained(run := grid.run(cell, 0))
    finished.measured(probe := grid.probes(cell, 0)[0])
    first, second = grid.report_entries()
    assert (first.cell, first.run, first.probes) == ("synthetic-raw", None, (raw.folder,))
    assert (second.cell, second.seed, second.run) == ("synthetic-simclr", 0, run.folder)
    assert (second.probes, second.finetuned) == ((probe.folder,), None)
