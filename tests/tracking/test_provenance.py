import subprocess
import sys

import psutil

from trivium.tracking.run import is_dead, provenance


def test_this_process_is_alive():
    tags = provenance()
    assert is_dead(tags) is False
    assert {"host", "pid", "process_started", "git_commit", "git_dirty"} <= tags.keys()


def test_a_process_that_ended_is_dead():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = psutil.Process(process.pid).create_time()
    tags = provenance() | {"pid": str(process.pid), "process_started": str(started)}
    assert is_dead(tags) is False
    process.kill()
    process.wait()
    process.stdin.close()
    assert is_dead(tags) is True


def test_a_reused_process_id_is_dead():
    tags = provenance()
    tags["process_started"] = str(float(tags["process_started"]) - 100)
    assert is_dead(tags) is True


def test_other_hosts_are_unknown():
    assert is_dead(provenance() | {"host": "elsewhere"}) is None
    assert is_dead({}) is None


def test_the_commit_is_the_repositorys(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert provenance()["git_commit"] == "unknown"
    repository = tmp_path / "repository"
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    (repository / "file").write_text("1")
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "one"], check=True)
    (repository / "file").write_text("2")
    monkeypatch.setenv("DVC_ROOT", str(repository))
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    tags = provenance()
    assert tags["git_commit"] == tags["mlflow.source.git.commit"] == head.stdout.strip()
    assert tags["git_dirty"] == "true"
