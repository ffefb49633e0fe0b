import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trivium.tracking.client import ensure_experiment

CONF = Path(__file__).parents[2] / "conf"
APP = """
import time
import hydra
from trivium.stages import stopping

@hydra.main(version_base="1.3", config_path="conf", config_name="pretrain")
def main(config):
    from trivium.tracking import names
    from trivium.tracking.run import start_run
    with start_run("trial", {"seed": config.seed}, dict(config.objective)) as writer:
        score = 1 - config.objective.temperature
        writer.log_metrics({names.SELECTION_ACCURACY: score}, 0)
        time.sleep(config.seconds)

stopping.install()
main()
"""
CONFIG = """
defaults: [tracking: mlflow, launcher: basic, _self_]
objective: {temperature: 0.1, head: mlp}
seed: 0
seconds: 0
hydra: {sweep: {dir: outputs/sweep}}
"""


@pytest.fixture
def app(tmp_path):
    (tmp_path / "conf").mkdir()
    for group in ("tracking", "launcher"):
        (tmp_path / "conf" / group).symlink_to(CONF / group)
    (tmp_path / "conf" / "pretrain.yaml").write_text(CONFIG)
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_the_trials_are_nested_under_one_parent_with_a_summary(app, client, launcher):
    command = [sys.executable, "app.py", "-m", f"launcher={launcher}"]
    done = subprocess.run(
        [*command, "objective.temperature=0.2,0.1"],
        cwd=app,
        env=os.environ | {"COLUMNS": "120"},
        check=True,
        capture_output=True,
        text=True,
    )
    experiment = client.get_experiment_by_name("trivium").experiment_id
    parent = client.search_runs([experiment], "tags.kind = 'sweep'")[0]
    trials = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert sorted(run.data.params["temperature"] for run in trials) == ["0.1", "0.2"]
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {
        "sweep/num_trials": 2.0,
        "sweep/num_finished": 2.0,
        "sweep/best/validation/selection_accuracy": 0.9,
    }
    summary = parent.data.tags["mlflow.note.content"].splitlines()
    assert summary[0] == "| run | temperature | status | validation/selection_accuracy |"
    assert [line.split(" | ")[1] for line in summary[2:]] == ["0.1", "0.2"]
    assert "0.9000" in done.stdout
    assert client.list_artifacts(parent.info.run_id)[0].path == "summary.md"


def test_ctrl_c_ends_the_parent_and_its_trial_as_killed(app, client, tracked):
    command = [sys.executable, "app.py", "-m", "launcher=basic", "seed=7,8", "seconds=300"]
    process = subprocess.Popen(command, cwd=app, stderr=subprocess.PIPE, text=True)
    experiment = ensure_experiment()

    def runs(query):
        return client.search_runs([experiment], query)

    end = time.monotonic() + 120
    while not (trials := runs("attributes.status = 'RUNNING' and params.head = 'mlp'")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    (trial,) = trials
    for run_id in (trial.info.run_id, trial.data.tags["mlflow.parentRunId"]):
        assert client.get_run(run_id).info.status == "KILLED"


def test_showing_the_config_does_not_import_mlflow(app):
    command = [sys.executable, "-X", "importtime", "app.py", "--cfg", "job"]
    done = subprocess.run(command, cwd=app, check=True, capture_output=True, text=True)
    assert "seed: 0" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not {"mlflow", "torch"} & imported
