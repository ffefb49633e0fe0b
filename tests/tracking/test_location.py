from pathlib import Path

import pytest

from trivium.tracking import client


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.parametrize("mark", ["dvc.yaml", "pyproject.toml"])
def test_the_root_is_the_nearest_marked_parent(tmp_path, monkeypatch, mark):
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / mark).touch()
    monkeypatch.chdir(below)
    assert client.project_root() == tmp_path
    assert client.tracking_uri() == f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    assert client.database() == tmp_path / "mlruns/mlflow.db"
    assert client.artifact_root() == tmp_path / "mlruns/artifacts"


def test_dvc_wins_over_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "queued").mkdir()
    (tmp_path / "queued" / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path / "queued")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "project"))
    assert client.project_root() == tmp_path / "project"


def test_without_any_mark_it_is_the_current_folder(monkeypatch):
    monkeypatch.chdir("/")
    assert client.project_root() == Path("/")


def test_a_server_is_respected(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert client.tracking_uri() == "http://127.0.0.1:5000"
    assert client.database() is None
    assert client.artifact_root() == tmp_path / "mlruns/artifacts"


def test_another_database_keeps_its_artifacts_beside_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere/my.db")
    assert client.artifact_root() == tmp_path / "elsewhere/artifacts"
