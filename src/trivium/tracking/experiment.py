"""A connection to the tracking store, and the experiment that the runs belong to."""

import logging
import os
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING

from filelock import FileLock

from trivium.tracking import names
from trivium.tracking.location import artifact_root, database, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "trivium"
KIND = {names.EXPERIMENT_KIND: "custom_model_development"}
"""Without it the UI opens an experiment with the pages of language-model applications."""
LOCK_SECONDS = 300
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "GIT_PYTHON_REFRESH": "quiet",
    # The journal is the retry: a request to a dead server must fail soon.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def quieten() -> None:
    """Settings that MLflow reads when it is imported; those already in the environment win."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def connect() -> "MlflowClient":
    """A client of the tracking store, shared by the whole process.

    The SQLite file is created under a file lock: several processes that create its tables at
    once crash each other.

    Raises:
        filelock.Timeout: if another process holds the lock for five minutes.
    """
    return _connect(tracking_uri())


def _lock() -> "FileLock | nullcontext[None]":
    file = database()
    if file is None:
        return nullcontext()
    file.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(file.with_suffix(".lock"), timeout=LOCK_SECONDS)


@cache
def _connect(uri: str) -> "MlflowClient":
    quieten()
    with _lock():
        import mlflow

        # Not mlflow.set_tracking_uri: it writes to the environment, and children inherit it.
        client = mlflow.MlflowClient(uri)
        if database(uri):
            client.search_experiments(max_results=1)
        return client


def ensure_experiment(name: str = EXPERIMENT) -> str:
    """The experiment's id; creates the database and the experiment if they do not exist yet.

    Safe with any number of processes at once.

    Args:
        name: the experiment's name.

    Raises:
        ValueError: if the experiment of that name was deleted in the UI.
    """
    client = connect()
    with _lock():
        found = client.get_experiment_by_name(name)
        if found is None:
            location = str(artifact_root()) if database() else None
            return str(_create(client, name, location))
    if found.lifecycle_stage != "active":
        raise ValueError(
            f"The MLflow experiment {name!r} is deleted; restore it, or choose another name "
            "with tracking.experiment=NAME."
        )
    return str(found.experiment_id)


def _create(client: "MlflowClient", name: str, location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    try:
        return str(client.create_experiment(name, location, KIND))
    except MlflowException:
        # On a server, where no file lock reaches, another process may have been faster.
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return str(found.experiment_id)
