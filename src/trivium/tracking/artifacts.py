"""Encoders in the tracking store: files of a run, and entries of the model registry."""

from pathlib import Path
from typing import TYPE_CHECKING

from trivium.tracking import names
from trivium.tracking.experiment import connect

if TYPE_CHECKING:
    from mlflow import MlflowClient

WEIGHTS = "encoder.safetensors"
ARCHITECTURE = "encoder.yaml"


def download(uri: str) -> Path:
    """The local folder behind a tracking URI; nothing is copied if it lies on this disk.

    Args:
        uri: `runs:/ID/PATH`, `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        ValueError: if the URI has another form.
        FileNotFoundError: if it names nothing, or a folder without an encoder.
    """
    if not uri.startswith(("runs:/", "models:/")):
        raise ValueError(
            f"{uri!r} is not a tracking URI: expected runs:/ID/PATH or models:/NAME@ALIAS"
        )
    client = connect()
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        folder = Path(download_artifacts(artifact_uri=_place(client, uri)))
    except (MlflowException, OSError) as error:
        raise FileNotFoundError(f"{uri} names nothing in the tracking store: {error}") from error
    missing = [name for name in (WEIGHTS, ARCHITECTURE) if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{uri} holds no encoder: {' and '.join(missing)} not in {folder}")
    return folder


def _place(client: "MlflowClient", uri: str) -> str:
    """Where the artifacts behind a URI lie; MLflow's own resolution copies them each time."""
    if uri.startswith("runs:/"):
        run_id, _, path = uri.removeprefix("runs:/").partition("/")
        return f"{client.get_run(run_id).info.artifact_uri}/{path}"
    name, at, alias = uri.removeprefix("models:/").partition("@")
    if at:
        return str(client.get_model_version_by_alias(name, alias).source)
    name, _, version = name.rpartition("/")
    return str(client.get_model_version_download_uri(name, version))


def register_encoder(run_id: str, folder: Path, name: str, alias: str | None = None) -> str:
    """Log an encoder's two files to a run and enter them in the model registry, without pickle.

    Args:
        run_id: the run that trained it.
        folder: holds encoder.safetensors and encoder.yaml.
        name: the registered model's name; created if it does not exist.
        alias: a name for this version, e.g. `champion`; moved here from an older version.

    Returns:
        The new version's number, as MLflow writes it.

    Raises:
        FileNotFoundError: if one of the two files is missing.
    """
    client = connect()
    from mlflow.exceptions import MlflowException

    for file in (folder / WEIGHTS, folder / ARCHITECTURE):
        if not file.is_file():
            raise FileNotFoundError(f"{file} does not exist: {folder} is no exported encoder")
        client.log_artifact(run_id, str(file), names.ENCODER_FILES)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{client.get_run(run_id).info.artifact_uri}/{names.ENCODER_FILES}"
    version = str(client.create_model_version(name, source, run_id).version)
    if alias:
        client.set_registered_model_alias(name, alias, version)
    return version
