import shutil

import mlflow
import pytest


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """An empty tracking store: to create its tables takes seconds."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments(max_results=1)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory, database):
    """An empty folder to run in, with a tracking store of its own."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "mlruns").mkdir()
    shutil.copy(database, folder / "mlruns")
    return folder
