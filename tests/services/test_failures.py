"""A job that fails or dies is named at the end and stops no other; the exit code says so."""

import pytest

from services.multirun import APP, ROOT, Multirun, numbers


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_job_that_raises_stops_no_other(launcher, tmp_path):
    run = Multirun(tmp_path, APP, "number=0,1,2,3", "raises=1", f"launcher={launcher}")
    assert run.wait() == 1, run.output
    assert numbers(tmp_path, "done") == [0, 2, 3]
    assert run.output.splitlines()[-1] == "error: number=1 raises=1 failed; see above"
    assert "ValueError: as asked" in run.output


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_multirun_without_failures_ends_with_code_0(launcher, tmp_path):
    run = Multirun(tmp_path, APP, "number=0,1", f"launcher={launcher}")
    assert run.wait() == 0, run.output
    assert numbers(tmp_path, "done") == [0, 1]


def test_a_worker_that_is_killed_is_one_failed_job(tmp_path):
    run = Multirun(tmp_path, APP, "number=0,1,2,3", "killed=1", "launcher=joblib")
    assert run.wait() == 1, run.output
    assert numbers(tmp_path, "done") == [0, 2, 3]
    assert run.output.splitlines()[-1] == "error: number=1 killed=1 failed; see above"
    assert "its process was killed" in run.output


def test_workers_are_kept_from_job_to_job(tmp_path):
    words = ["number=0,1,2,3", "launcher=joblib", "hydra.launcher.n_jobs=1"]
    assert Multirun(tmp_path, APP, *words).wait() == 0
    assert len({path.name.partition("-")[2] for path in (tmp_path / "started").iterdir()}) == 1


@pytest.mark.slow
def test_processes_of_submitit_fail_alone(tmp_path):
    words = ["number=0,1,2", "raises=0", "killed=1", "launcher=submitit_local"]
    run = Multirun(tmp_path, APP, *words)
    assert run.wait() == 1, run.output
    assert numbers(tmp_path, "done") == [2]
    assert "ValueError: as asked" in run.output
    assert "its process ended without a result" in run.output
    named = [line for line in run.output.splitlines() if line.startswith("error:")]
    assert [line.split()[1] for line in named] == ["number=0", "number=1"]


@pytest.mark.slow
def test_workers_of_ray_fail_alone(ray_python, tmp_path):
    words = ["number=0,1,2", "raises=0", "killed=1", "launcher=ray"]
    run = Multirun(tmp_path, APP, *words, python=ray_python)
    assert run.wait() == 1, run.output
    assert numbers(tmp_path, "done") == [2]
    assert "ValueError: as asked" in run.output
    named = [line for line in run.output.splitlines() if line.startswith("error:")]
    assert [line.split()[1] for line in named] == ["number=0", "number=1"]


def test_ray_says_how_it_is_installed(tmp_path):
    hidden = tmp_path / "hidden" / "ray"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError('no ray')")
    words = ["number=0,1", "launcher=ray"]
    found = {"PYTHONPATH": f"{hidden.parent}:{ROOT / 'src'}"}
    run = Multirun(tmp_path, APP, *words, environment=found)
    assert run.wait() == 1
    assert "make env-ray" in run.output
