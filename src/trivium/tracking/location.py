"""Where tracking lies: one SQLite file and a folder of artifacts under the project's root."""

import os
from pathlib import Path

SQLITE = "sqlite:///"
ROOT_MARKS = ("dvc.yaml", "pyproject.toml")


def project_root(start: Path | None = None) -> Path:
    """The folder that holds `mlruns/`.

    It is `DVC_ROOT` where DVC set it (queued experiments run in a temporary folder), else the
    nearest parent with a dvc.yaml or pyproject.toml, else the current folder itself.

    Args:
        start: where the search begins; the current folder by default.
    """
    if dvc_root := os.environ.get("DVC_ROOT"):
        return Path(dvc_root).resolve()
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if any((folder / mark).is_file() for mark in ROOT_MARKS):
            return folder
    return here


def tracking_uri() -> str:
    """MLflow's tracking URI: `MLFLOW_TRACKING_URI` if set, else the project's SQLite file."""
    given = os.environ.get("MLFLOW_TRACKING_URI")
    return given or f"{SQLITE}{project_root() / 'mlruns' / 'mlflow.db'}"


def database(uri: str | None = None) -> Path | None:
    """The SQLite file behind a tracking URI, or None if it is a server.

    Args:
        uri: a tracking URI; the project's own by default.
    """
    uri = uri or tracking_uri()
    return Path(uri.removeprefix(SQLITE)).resolve() if uri.startswith(SQLITE) else None


def artifact_root() -> Path:
    """The folder of all artifacts: beside the SQLite file, or under the project's root."""
    file = database()
    return (file.parent if file else project_root() / "mlruns") / "artifacts"


def journal_root() -> Path:
    """The folder of those journals that were given no run folder of their own."""
    return artifact_root().parent / "journals"
