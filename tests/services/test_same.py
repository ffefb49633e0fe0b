"""A small grid gives the same weights and records under every launcher."""

import hashlib
import json
import signal
import sys

import pytest

from services.multirun import APP, ROOT, Multirun

pytestmark = pytest.mark.slow

PREPARE, PRETRAIN, PROBE = (
    ROOT / "pipelines" / name for name in ("prepare.py", "pretrain.py", "probe.py")
)
GRID = ["--config-dir", str(APP.parent), "grid=little"]
LAUNCHERS = ["joblib", "submitit_local", "slurm", "ray"]
SECONDS = 560


def run_grid(place, launcher, python=sys.executable, environment=None):
    """Pretrain and probe the cells of the grid; the weights' sums and the records."""
    for script in (PREPARE, PRETRAIN, PROBE):
        words = [*GRID, f"launcher={launcher}"]
        run = Multirun(place, script, *words, python=python, environment=environment)
        assert run.process.wait(SECONDS) == 0, run.output
    return weights(place), records(place)


def weights(place):
    """Sums of the exported encoders, by their folders."""
    return {
        path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in place.glob("outputs/runs/*/encoder.safetensors")
    }


def records(place):
    """What the probes measured, without how long it took and where it is tracked."""
    found = {}
    for path in sorted(place.glob("outputs/probes/**/records.json")):
        for record in json.loads(path.read_text()):
            kept = {key: value for key, value in record.items() if key not in ("seconds", "run_id")}
            found.setdefault(str(path.parent.relative_to(place)), []).append(kept)
    return found


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return run_grid(tmp_path_factory.mktemp("basic"), "basic")


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_every_launcher_gives_the_bits_of_one_after_the_other(
    launcher, expected, tmp_path, request
):
    more = {}
    if launcher == "slurm":
        more["environment"] = request.getfixturevalue("slurm").environment
    if launcher == "ray":
        more["python"] = request.getfixturevalue("ray_python")
    weights, records = run_grid(tmp_path, launcher, **more)
    assert len(weights) == 12
    assert weights == expected[0]
    assert records == expected[1]
    assert records


@pytest.mark.timeout(1500)
def test_a_grid_that_was_stopped_goes_on_and_trains_nothing_twice(expected, tmp_path):
    run = Multirun(tmp_path, PRETRAIN, *GRID, "launcher=joblib")
    run.until(lambda: len(weights(tmp_path)) >= 2)
    run.press_ctrl_c()
    assert run.wait() == 128 + signal.SIGINT, run.output
    assert run.left() == []
    finished = finish_times(tmp_path)
    assert 0 < len(finished) < 12
    again = Multirun(tmp_path, PRETRAIN, *GRID, "launcher=joblib")
    assert again.process.wait(SECONDS) == 0, again.output
    assert f"{len(finished)} finished" in again.output
    assert finished.items() <= finish_times(tmp_path).items()
    assert weights(tmp_path) == expected[0]


def finish_times(place):
    """When runs were finished: their last file's time."""
    files = place.glob("outputs/runs/*/metrics.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in files}
