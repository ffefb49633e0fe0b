"""A grid as a multirun: which jobs are launched, and what is told and written at the end."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import hydra
import pytest
from hypothesis import given
from hypothesis import strategies as st

import finished
from hydra_plugins.trivium_sweepers import multiplied
from trivium.compose import grid_values
from trivium.grid import Grid
from trivium.stages import entry
from trivium.stages.grid import drop_stale
from trivium.stages.multirun import end, plan
from yamls import begin

ROOT = Path(__file__).resolve().parents[1]
VALUES = st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True)


@given(st.lists(VALUES, max_size=3))
def test_lists_with_commas_multiply(lists):
    words = [f"key{i}={','.join(map(str, values))}" for i, values in enumerate(lists)]
    expected = [
        [f"key{i}={value}" for i, value in enumerate(chosen)]
        for chosen in itertools.product(*lists)
    ]
    assert multiplied(words) == expected


def test_what_is_of_the_multirun_goes_to_no_job():
    words = ["grid=tiny", "grid.seeds=[0]", "launcher=ray", "hydra.launcher.n_jobs=2", "a=[1,2]"]
    assert multiplied(words) == [["a=[1,2]"]]
    assert multiplied(["a=range(0,3)", "~b", "+c.d=x"]) == [
        [f"a={value}", "~b", "+c.d=x"] for value in range(3)
    ]


def test_an_interval_multiplies_nothing():
    with pytest.raises(ValueError, match=r"a=interval\(0,1\): a grid multiplies by lists"):
        multiplied(["a=interval(0,1)"])


@pytest.mark.parametrize("stage", ["prepare", "pretrain", "probe", "finetune"])
def test_a_grid_without_m_is_an_error(stage, monkeypatch):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with begin():
        given = ["checkpoint=x"] if stage in ("probe", "finetune") else []
        config = hydra.compose(stage, ["grid=tiny", *given])
        words = rf"grid=tiny names many runs: add -m \(python pipelines/{stage}\.py -m grid=tiny\)"
        with pytest.raises(SystemExit, match=words):
            entry.run(stage, config)


@pytest.fixture
def grid(tmp_path, monkeypatch):
    """Two runs of a grid of one cell, its data prepared, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    cells = {"synthetic": {"objectives": ["simclr"]}}
    with begin():
        grid = Grid({"name": "small", "seeds": [0, 1], "cells": cells})
        finished.prepared(grid.run(grid.cells[0], 0).values)
        yield grid


def test_what_is_finished_is_told_and_not_launched_again(grid, capsys):
    finished.pretrained(first := grid.jobs("pretrain")[0])
    assert [job.done for job in plan(grid, "pretrain", [[]])] == [True, False]
    said = capsys.readouterr().out
    assert f"== finished already: {first.folder}\n" in said
    assert "== pretrain, grid small: 1 finished, 1 to do" in said
    assert [job.done for job in plan(grid, "pretrain", [["overwrite=true"]])] == [False, False]


def test_a_multiplied_grid_has_each_job_once(grid):
    copies = multiplied(["objective.temperature=0.1,0.2"])
    jobs = plan(grid, "pretrain", [*copies, *copies])
    assert len(jobs) == len({job.identity for job in jobs}) == 4


def test_an_index_names_what_was_left(grid):
    jobs = grid.jobs("pretrain")
    for job in jobs:
        finished.pretrained(job)
    end(grid, "pretrain", jobs, [], "index/pretrain.json")
    written = json.loads(Path("index/pretrain.json").read_text())
    assert written.keys() == {job.name for job in jobs}
    for job in jobs:
        assert written[job.name] == {"folder": str(job.folder), "weights": job.identity * 5}
    before = Path("index/pretrain.json").read_bytes()
    end(grid, "pretrain", grid.jobs("pretrain"), [], "index/pretrain.json")
    assert Path("index/pretrain.json").read_bytes() == before


def test_a_failed_or_blocked_job_is_named_and_no_index_is_written(grid, capsys):
    with pytest.raises(SystemExit, match=r"error: 1 of 2 job\(s\) of pretrain failed"):
        end(grid, "pretrain", grid.jobs("pretrain"), ["synthetic-simclr-1"], "index.json")
    assert "error: synthetic-simclr-1 failed" in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"error: 2 of 3 job\(s\) of probe failed"):
        end(grid, "probe", grid.jobs("probe"), [], "index.json")
    assert "synthetic-simclr-0: synthetic-simclr-0 is not pretrained" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="said that it ended well, but left no result"):
        end(grid, "pretrain", grid.jobs("pretrain"), [], "index.json")
    assert not Path("index.json").exists()


def test_an_index_of_something_that_is_gone_goes_too(tmp_path):
    (tmp_path / "run").mkdir()
    here, gone = {"folder": str(tmp_path / "run")}, {"folder": str(tmp_path / "other")}
    contents = {
        "pretrain": {"a": here}, "probe": {"a": here, "b": gone}, "finetune": {},
        "compare": {"report": str(tmp_path / "report"), "num_cells": 3},
    }  # fmt: skip
    folder = tmp_path / "index"
    folder.mkdir()
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    drop_stale(folder)
    assert sorted(path.stem for path in folder.iterdir()) == ["finetune", "pretrain"]


def test_a_finished_grid_is_planned_without_torch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with begin():
        grid = Grid(grid_values("tiny", ["grid.seeds=[0]"]))
        for job in grid.jobs("prepare"):
            finished.prepared(job.values)
        for job in (jobs := grid.jobs("pretrain")):
            finished.pretrained(job)
        grid.compositions.save()
    command = [sys.executable, "-X", "importtime", str(ROOT / "pipelines" / "pretrain.py")]
    environment = os.environ | {"DVC_ROOT": str(tmp_path), "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [*command, "-m", "grid=tiny", "grid.seeds=[0]", "grid.index=index.json"],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"== pretrain, grid tiny: {len(jobs)} finished, 0 to do" in done.stdout
    assert json.loads(Path("index.json").read_text()).keys() == {job.name for job in jobs}
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "trivium.grid" in imported
    assert imported.isdisjoint({"torch", "pytorch_lightning", "mlflow"})
