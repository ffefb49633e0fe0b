"""Multiruns on a real SLURM of one node."""

import signal

import pytest

from services.multirun import APP, Multirun, files, numbers

pytestmark = pytest.mark.slow


@pytest.fixture
def begin(slurm, tmp_path):
    """Start the app's multirun on the cluster, which is empty before and after."""

    def start(*words):
        return Multirun(tmp_path, APP, "launcher=slurm", *words, environment=slurm.environment)

    slurm.until(lambda: not slurm.jobs(), "an earlier test left jobs")
    yield start
    slurm.run("scancel", "--me", check=False)


def running(slurm):
    return [job for job, state in slurm.jobs().items() if state == "RUNNING"]


def test_jobs_that_raise_or_die_are_failed_jobs_and_the_others_go_on(begin, tmp_path):
    run = begin("number=0,1,2,3", "raises=0", "killed=1")
    assert run.wait() == 1, run.output
    assert numbers(tmp_path, "done") == [2, 3]
    assert "ValueError: as asked" in run.output
    assert "left no result (state FAILED" in run.output
    named = [line for line in run.output.splitlines() if line.startswith("error:")]
    assert [line.split()[1] for line in named] == ["number=0", "number=1"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_cancel_what_was_submitted(number, code, begin, slurm, tmp_path):
    run = begin("number=0,1,2", "seconds=300")
    run.until(lambda: running(slurm))
    run.process.send_signal(number)
    assert run.wait() == code, run.output
    slurm.until(lambda: not slurm.jobs(), "jobs are left")
    assert not list((tmp_path / "outputs/sweeps/jobs").glob("*.json"))


def test_a_closed_terminal_leaves_the_jobs_and_the_command_waits_for_them(begin, slurm, tmp_path):
    words = ["number=0,1,2", "seconds=6"]
    run = begin(*words)
    run.until(lambda: running(slurm))
    run.process.send_signal(signal.SIGHUP)
    assert run.wait() == -signal.SIGHUP
    left = slurm.jobs()
    assert len(left) == 3
    again = begin(*words)
    assert again.wait() == 0, again.output
    assert "Waiting for 3 jobs that are queued already" in again.output
    assert numbers(tmp_path, "started") == [0, 1, 2]
    assert len(files(tmp_path, "started")) == 3
    assert numbers(tmp_path, "done") == [0, 1, 2]


def test_a_job_that_the_cluster_kills_is_one_failed_job(begin, slurm, tmp_path):
    run = begin("number=0,1", "seconds=6")
    run.until(lambda: len(files(tmp_path, "started")) == 2)
    killed = next(job for job in running(slurm) if job.endswith("_1"))
    slurm.run("scancel", killed)
    assert run.wait() == 1, run.output
    assert numbers(tmp_path, "done") == [0]
    assert "state CANCELLED" in run.output
    assert run.output.splitlines()[-1] == "error: number=1 seconds=6 failed; see above"


def test_a_machine_without_slurm_is_told_so(tmp_path):
    run = Multirun(
        tmp_path, APP, "launcher=slurm", "number=0,1", environment={"PATH": str(tmp_path)}
    )
    assert run.wait() == 1
    assert "run it on a login node" in run.output
