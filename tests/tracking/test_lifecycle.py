import os
import signal
import socket
import subprocess
import sys

import pytest

from trivium.tracking.run import find_run, reap, reopen, resume, start_run
from trivium.tracking.spool import find_spools, send_spool

TRAIN = """
import sys, time
from pathlib import Path
from trivium.tracking.run import install_sigterm, start_run
writer = start_run("victim", {}, {}, folder=Path(sys.argv[1]), interval=60.0)
install_sigterm(writer)
for step in range(5):
    writer.log_metrics({"train/loss": float(step)}, step)
print(writer.run_id, flush=True)
time.sleep(120)
"""


@pytest.fixture
def victim(tracked, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    process.run_id = process.stdout.readline().strip()
    yield process
    process.kill()
    process.communicate()


def steps(client, run_id, key="train/loss"):
    return sorted(point.step for point in client.get_metric_history(run_id, key))


def test_a_run_carries_its_tags_parameters_and_parent(tracked, client):
    with start_run("parent", {"kind": "sweep"}, {}) as parent:
        tags, params = {"seed": 3}, {"objective": {"name": "simclr"}}
        with start_run("child", tags, params, parent=parent.run_id) as child:
            assert client.get_run(child.run_id).info.status == "RUNNING"
    run = client.get_run(child.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "child"
    assert run.data.params == {"objective.name": "simclr"}
    expected = {"seed": "3", "host": socket.gethostname(), "pid": str(os.getpid())}
    assert run.data.tags | expected == run.data.tags
    assert run.data.tags["mlflow.parentRunId"] == parent.run_id
    assert not child.journal.folder.exists()


def test_an_error_marks_the_run_failed(tracked, client):
    writer = start_run("failing", {}, {})
    with pytest.raises(ZeroDivisionError), writer:
        _ = 1 / 0
    assert client.get_run(writer.run_id).info.status == "FAILED"


def test_sigterm_marks_the_run_killed_and_exits_143(victim, client):
    victim.send_signal(signal.SIGTERM)
    assert victim.wait(60) == 143
    assert client.get_run(victim.run_id).info.status == "KILLED"
    assert steps(client, victim.run_id) == [0, 1, 2, 3, 4]


def test_kill_9_loses_nothing_is_reaped_and_resumes(victim, client, tmp_path):
    victim.kill()
    victim.wait(60)
    with start_run("alive", {}, {}) as alive:
        assert reap() == [victim.run_id]
        assert reap() == []
    assert client.get_run(alive.run_id).info.status == "FINISHED"
    assert client.get_run(victim.run_id).info.status == "KILLED"
    with resume(victim.run_id, 2, folder=tmp_path) as writer:
        for step in range(3, 8):
            writer.log_metrics({"train/loss": float(step)}, step)
        assert writer.flush()
        assert client.get_run(victim.run_id).info.status == "RUNNING"
        assert client.get_run(victim.run_id).data.tags["pid"] == str(os.getpid())
    assert steps(client, victim.run_id) == list(range(8))
    assert client.get_run(victim.run_id).info.status == "FINISHED"


def test_there_is_nothing_to_resume_without_a_journal(tracked, tmp_path):
    with pytest.raises(LookupError, match="begin one with start_run"):
        resume(None, 3, folder=tmp_path)


def test_the_newest_finished_run_is_found_and_extended(tracked, client):
    tags = {"checkpoint": "c" * 64, "dataset": "fashion_mnist"}
    for _ in range(2):
        with start_run("pretrain", tags, {}) as writer:
            pass
    open_run = start_run("unfinished", tags, {})
    assert find_run(tags) == writer.run_id
    assert find_run(tags | {"dataset": "mnist"}) is None
    before = client.get_run(writer.run_id).info.end_time
    with reopen(writer.run_id) as probe:
        probe.log_metrics({"probe/linear": 0.8}, 0)
    open_run.finish()
    run = client.get_run(writer.run_id)
    assert run.data.metrics == {"probe/linear": 0.8}
    assert (run.info.status, run.info.end_time) == ("FINISHED", before)


def test_a_dead_server_loses_nothing(tracked, tmp_path, monkeypatch, client, caplog):
    folder = tracked / "outputs" / "runs" / "cell"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        with start_run("dead", {"seed": 1}, {"a": 1}, folder=folder, interval=0.2) as writer:
            assert writer.run_id is None
            writer.log_metrics({"train/loss": 0.5}, 7)
            writer.log_text("a: 1", "config.yaml")
    assert "kept in" in caplog.text
    assert find_spools() == [folder]
    assert send_spool(folder)
    assert not send_spool(folder)
    run_id = find_run({"seed": 1})
    run = client.get_run(run_id)
    assert (run.info.run_name, run.data.params, run.data.metrics) == (
        *("dead", {"a": "1"}, {"train/loss": 0.5}),
    )
    assert [item.path for item in client.list_artifacts(run_id)] == ["config.yaml"]


def test_another_runs_journal_is_set_aside_and_kept(tracked, tmp_path, client):
    first = start_run("first", {}, {}, folder=tmp_path, interval=60.0)
    first.log_metrics({"train/loss": 1.0}, 0)
    with start_run("second", {}, {}, folder=tmp_path) as second:
        second.log_metrics({"train/loss": 2.0}, 0)
    assert second.run_id != first.run_id
    (kept,) = find_spools()
    assert send_spool(kept)
    assert client.get_run(first.run_id).data.metrics == {"train/loss": 1.0}
    assert client.get_run(second.run_id).data.metrics == {"train/loss": 2.0}
    first.owner = False
    first.finish(timeout=0.0)
