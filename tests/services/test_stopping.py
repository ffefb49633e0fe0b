"""Ctrl-C and SIGTERM end a multirun with all its workers, and its command goes on where it was."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from services.multirun import APP, HIDDEN, ROOT, Multirun, files

LAUNCHERS = ["basic", "joblib", "submitit_local", "ray"]
SWEEP = ["number=0,1,2,3", "seconds=300"]


@pytest.fixture(params=LAUNCHERS)
def begin(request, tmp_path):
    """Start a multirun whose jobs last long, and wait until some run."""
    python = request.getfixturevalue("ray_python") if request.param == "ray" else sys.executable
    num_jobs = 1 if request.param == "basic" else 2

    def start():
        run = Multirun(tmp_path, APP, *SWEEP, *at_once(request.param), python=python)
        run.until(lambda: len(files(tmp_path, "started")) == num_jobs)
        return run

    return start


def at_once(launcher):
    """Two jobs at once, however many cores there are."""
    more = {
        "joblib": ["hydra.launcher.n_jobs=2"],
        "submitit_local": [f"hydra.launcher.cpus_per_task={max(1, num_cores() // 2)}"],
        "ray": ["+hydra.launcher.ray.init.num_cpus=2"],
    }
    return [f"launcher={launcher}", *more.get(launcher, [])]


def num_cores():
    return len(os.sched_getaffinity(0))


@pytest.mark.slow
def test_ctrl_c_ends_the_multirun_and_its_workers(begin, tmp_path):
    run = begin()
    before = files(tmp_path, "started")
    run.press_ctrl_c()
    assert run.wait() == 130, run.output
    assert run.left() == []
    assert files(tmp_path, "started") == before
    assert "Traceback" not in run.output


@pytest.mark.slow
def test_sigterm_to_the_multirun_alone_ends_its_workers(begin, tmp_path):
    run = begin()
    before = files(tmp_path, "started")
    run.process.terminate()
    assert run.wait() == 143, run.output
    assert run.left() == []
    assert files(tmp_path, "started") == before


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_workers_end_when_their_multirun_was_killed(launcher, tmp_path):
    run = Multirun(tmp_path, APP, *SWEEP, *at_once(launcher))
    run.until(lambda: len(files(tmp_path, "started")) == 2)
    run.process.kill()
    run.wait()
    assert run.left() == []
    assert len(files(tmp_path, "started")) == 2


STARTER = """
import subprocess, sys
subprocess.run(sys.argv[1:], shell=False)
"""


@pytest.mark.slow
@pytest.mark.parametrize("of_dvc", [True, False])
def test_a_stage_ends_with_the_dvc_that_started_it_and_no_other_does(of_dvc, tmp_path):
    inherited = {key: value for key, value in os.environ.items() if key not in HIDDEN}
    own = {"PYTHONPATH": str(ROOT / "src"), "TRIVIUM_CONF": str(ROOT / "conf")}
    stage = {"DVC_STAGE": "pretrain"} if of_dvc else {}
    command = f"{sys.executable} {APP} -m {' '.join(SWEEP)} launcher=joblib; true"
    with (tmp_path / "output").open("w") as log:
        starter = subprocess.Popen(
            [sys.executable, "-c", STARTER, "sh", "-c", command],
            cwd=tmp_path, env=inherited | own | stage, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        wait_until(lambda: files(tmp_path, "started"))
        below = [
            one for one in psutil.Process(starter.pid).children(recursive=True) if computes(one)
        ]
        starter.kill()
        starter.wait()
        if of_dvc:
            wait_until(lambda: not any(map(computes, below)))
        else:
            time.sleep(5)
            assert all(map(computes, below))
    finally:
        for process in below:
            if computes(process):
                process.kill()


def computes(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE and (
            "resource_tracker" not in " ".join(process.cmdline())
        )
    except psutil.NoSuchProcess:
        return False


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
def test_a_signal_that_was_ignored_stays_ignored(tmp_path):
    words = [sys.executable, "-c", IGNORING]
    done = subprocess.run(
        words, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, cwd=tmp_path, text=True,
        capture_output=True,
    )  # fmt: skip
    assert done.stdout == "still here\n", done.stderr
    assert done.returncode == 128 + signal.SIGTERM


IGNORING = """
import os, signal, time
from trivium.stages import stopping
signal.signal(signal.SIGINT, signal.SIG_IGN)
stopping.install()
os.kill(os.getpid(), signal.SIGINT)
time.sleep(1)
print("still here", flush=True)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
"""
