"""Where tracking lies, the connection to it, and the addresses of runs."""

import logging
import os
from collections.abc import Iterable
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from filelock import FileLock

from trivium.tracking import names

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
ROOT_MARKS = ("dvc.yaml", "pyproject.toml")
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


def project_root() -> Path:
    """The folder that holds `mlruns/`.

    It is `DVC_ROOT` where DVC set it (queued experiments run in a temporary folder), else the
    nearest parent with a dvc.yaml or pyproject.toml, else the current folder itself.
    """
    if dvc_root := os.environ.get("DVC_ROOT"):
        return Path(dvc_root).resolve()
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        if any((folder / mark).is_file() for mark in ROOT_MARKS):
            return folder
    return here


def tracking_uri() -> str:
    """MLflow's tracking URI: `MLFLOW_TRACKING_URI` if set, else the project's SQLite file."""
    given = os.environ.get("MLFLOW_TRACKING_URI")
    return given or f"{SQLITE}{project_root() / 'mlruns' / 'mlflow.db'}"


def database() -> Path | None:
    """The SQLite file in which runs are tracked, or None if that is done on a server."""
    uri = tracking_uri()
    return Path(uri.removeprefix(SQLITE)).resolve() if uri.startswith(SQLITE) else None


def artifact_root() -> Path:
    """The folder of all artifacts: beside the SQLite file, or under the project's root."""
    file = database()
    return (file.parent if file else project_root() / "mlruns") / "artifacts"


def journal_root() -> Path:
    """The folder of those journals that were given no run folder of their own."""
    return artifact_root().parent / "journals"


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
        if uri.startswith(SQLITE):
            client.search_experiments(max_results=1)
        return client


def ensure_experiment(name: str = EXPERIMENT) -> str:
    """The id of the experiment of that name, which is created with the database if need be.

    Safe with any number of processes at once.

    Raises:
        ValueError: if the experiment was deleted in the UI.
    """
    client = connect()
    from mlflow.exceptions import MlflowException

    with _lock():
        found = client.get_experiment_by_name(name)
        if found is None:
            location = str(artifact_root()) if database() else None
            try:
                return str(client.create_experiment(name, location, KIND))
            except MlflowException:
                # On a server, where no file lock reaches, another process may have been faster.
                if (found := client.get_experiment_by_name(name)) is None:
                    raise
    if found.lifecycle_stage != "active":
        raise ValueError(
            f"The MLflow experiment {name!r} is deleted; restore it, or choose another name "
            "with tracking.experiment=NAME."
        )
    return str(found.experiment_id)


class Address(NamedTuple):
    """A run's experiment and the commit of its code, marked where files differed from it."""

    experiment_id: str
    commit: str


def addresses(run_ids: Iterable[str]) -> dict[str, Address]:
    """The address of each run.

    Raises:
        mlflow.exceptions.MlflowException: if there is no such run.
    """
    found = {}
    for run_id in sorted(set(run_ids)):
        run = connect().get_run(run_id)
        tags = run.data.tags
        changed = "-dirty" if tags.get(names.DIRTY) == "true" else ""
        commit = tags.get(names.COMMIT, "unknown") + changed
        found[run_id] = Address(str(run.info.experiment_id), commit)
    return found
