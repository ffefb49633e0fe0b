"""Reading tracked runs and their files; removing what nothing refers to."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlparse

from trivium.tracking import names
from trivium.tracking.client import connect, database

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


PAGE = 200


class Tracked(NamedTuple):
    """A run of the tracking store.

    `probes` are the folders of its evaluations; `folder` holds what pretraining left to look at,
    None if nothing was logged.
    """

    run_id: str
    name: str
    tags: dict[str, str]
    params: dict[str, str]
    probes: tuple[Path, ...]
    folder: Path | None


def search(query: str, experiments: Sequence[str] | None = None) -> list[Tracked]:
    """The finished runs that match, with their files; runs without an evaluation are left out.

    Files of a store on this disk are read where they lie, others are copied to a temporary folder.

    Args:
        query: A filter of MLflow, such as `tags.dataset = 'emoji' and params.seed = '0'`; all
            finished runs if it is empty.
        experiments: Names of the experiments; all if None.

    Raises:
        ValueError: The filter is none, an experiment does not exist, or nothing was found.
    """
    from mlflow.exceptions import MlflowException

    client = connect()
    known = {item.name: item.experiment_id for item in client.search_experiments()}
    unknown = sorted(set(experiments or ()) - set(known))
    if unknown:
        raise ValueError(
            f"there is no MLflow experiment {', '.join(unknown)}; there are {', '.join(known)}"
        )
    chosen = [known[name] for name in experiments or known]
    wanted = " and ".join(["attributes.status = 'FINISHED'", *([query] if query else [])])
    found: list[Run] = []
    token = None
    try:
        while True:
            page = client.search_runs(
                chosen, wanted, max_results=PAGE, page_token=token, order_by=["start_time ASC"]
            )
            found += list(page)
            token = page.token
            if not token:
                break
    except MlflowException as error:
        raise ValueError(f"MLflow cannot search for {query!r}: {error}") from error
    tracked = [one for run in found if (one := _tracked(run)).probes]
    if not tracked:
        raise ValueError(
            f"none of {len(found)} finished runs that match {query!r} holds an evaluation: probe "
            "them first, or choose others"
        )
    return tracked


def _tracked(run: "Run") -> Tracked:
    info, data = run.info, run.data
    folders = {item.path for item in connect().list_artifacts(info.run_id) if item.is_dir}
    probe, left = (
        _files(f"{info.artifact_uri}/{path}") if path in folders else None
        for path in (names.PROBE_FILES, names.RUN_FILES)
    )
    return Tracked(
        str(info.run_id),
        str(info.run_name),
        dict(data.tags),
        dict(data.params),
        tuple(sorted(path.parent for path in probe.rglob("probe.json"))) if probe else (),
        left,
    )


def _files(uri: str) -> Path:
    """A folder of artifacts on this disk: where it lies, or MLflow's copy of a remote one."""
    from mlflow.artifacts import download_artifacts

    return Path(download_artifacts(artifact_uri=uri))


STALE_PAGE = 1000


class StaleRun(NamedTuple):
    """A run of the tracker."""

    run_id: str
    name: str
    artifacts: str


def stale_runs(identities: set[str]) -> list[StaleRun]:
    """The pretrainings, not of a sweep, whose identity is not among those that are kept.

    Runs that were tracked without an identity, and those of a sweep, are left.
    """
    file = database()
    if file is not None and not file.is_file():
        return []
    client, found, token = connect(), [], None
    experiments = [one.experiment_id for one in client.search_experiments()]
    while True:
        page = client.search_runs(
            experiments,
            names.tagged(names.KIND, names.Kind.PRETRAINING),
            max_results=STALE_PAGE,
            page_token=token,
        )
        for run in page:
            tags = run.data.tags
            identity = tags.get(names.IDENTITY)
            if identity and identity not in identities and names.PARENT_RUN not in tags:
                info = run.info
                found.append(StaleRun(info.run_id, info.run_name, info.artifact_uri))
        token = page.token
        if not token:
            return found


def remove_runs(runs: Sequence[StaleRun]) -> None:
    """Delete runs, and the artifacts of those that lie in a folder of this machine."""
    for run in runs:
        connect().delete_run(run.run_id)
        place = urlparse(run.artifacts)
        if place.scheme in ("", "file"):
            shutil.rmtree(Path(unquote(place.path)), ignore_errors=True)


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
