"""One real SQLite store for all tests of tracking: creating its tables costs seconds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import trivium
from trivium.tracking.client import connect

SOURCE = str(Path(trivium.__file__).parents[1])
CREATE = (
    "from trivium.tracking.client import ensure_experiment; print(ensure_experiment('trivium'))"
)


@pytest.fixture(scope="session")
def created(tmp_path_factory):
    """The store's root, and what four processes that created it at once printed and returned."""
    root = tmp_path_factory.mktemp("project with a space")
    environment = os.environ | {"DVC_ROOT": str(root), "PYTHONPATH": SOURCE}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, "-c", CREATE]
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    printed = [process.communicate()[0].strip() for process in processes]
    return root, printed, [process.returncode for process in processes]


@pytest.fixture
def tracked(created, monkeypatch):
    """The project's root, as the place that this test tracks in."""
    monkeypatch.setenv("DVC_ROOT", str(created[0]))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("TRIVIUM_PARENT_RUN", raising=False)
    monkeypatch.setenv("PYTHONPATH", SOURCE)
    monkeypatch.chdir(created[0])
    return created[0]


@pytest.fixture
def client(tracked):
    return connect()
