"""Reading tracked runs and their files; the model registry; removing what nothing refers to."""

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

PAGE = 1000
WEIGHTS, ARCHITECTURE = "encoder.safetensors", "encoder.yaml"


def runs_of(query: str, experiments: Sequence[str] | None = None) -> "list[Run]":
    """Every run that matches a filter of MLflow, from the oldest to the newest.

    Args:
        query: such as `tags.dataset = 'emoji'`; all runs if it is empty.
        experiments: names of the experiments; all if None.

    Raises:
        ValueError: an experiment does not exist.
    """
    client = connect()
    known = {item.name: item.experiment_id for item in client.search_experiments()}
    if unknown := sorted(set(experiments or ()) - set(known)):
        raise ValueError(
            f"there is no MLflow experiment {', '.join(unknown)}; there are {', '.join(known)}"
        )
    chosen = [known[name] for name in experiments or known]
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            chosen, query, max_results=PAGE, page_token=token, order_by=["start_time ASC"]
        )
        found += page
        token = page.token
        if not token:
            return found


class Tracked(NamedTuple):
    """A finished run of the tracking store.

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
        query: a filter of MLflow; all finished runs if it is empty.
        experiments: names of the experiments; all if None.

    Raises:
        ValueError: the filter is none, an experiment does not exist, or nothing was found.
    """
    from mlflow.exceptions import MlflowException

    wanted = " and ".join(["attributes.status = 'FINISHED'", *([query] if query else [])])
    try:
        found = runs_of(wanted, experiments)
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
    from mlflow.artifacts import download_artifacts

    info, data = run.info, run.data
    folders = {item.path for item in connect().list_artifacts(info.run_id) if item.is_dir}
    probe, left = (
        Path(download_artifacts(artifact_uri=f"{info.artifact_uri}/{path}"))
        if path in folders
        else None
        for path in (names.PROBE_FILES, names.RUN_FILES)
    )
    probes = sorted(path.parent for path in probe.rglob("probe.json")) if probe else []
    tags, params = dict(data.tags), dict(data.params)
    return Tracked(str(info.run_id), str(info.run_name), tags, params, tuple(probes), left)


class Trials(NamedTuple):
    """The trials of a sweep, best first, and the parameters in which they differ."""

    runs: "list[Run]"
    keys: list[str]
    metric: str

    @classmethod
    def of(cls, parent: str, metric: str, *, maximise: bool = True) -> "Trials":
        """Read the trials of a parent run; those without the metric come last."""
        sign = -1 if maximise else 1
        runs = runs_of(names.tagged(names.PARENT_RUN, parent))
        runs.sort(key=lambda run: sign * run.data.metrics.get(metric, -sign * 1e300))
        keys = sorted({key for run in runs for key in run.data.params})
        differing = [k for k in keys if len({run.data.params.get(k) for run in runs}) > 1]
        return cls(runs, differing, metric)

    def markdown(self) -> str:
        """A table of them, which the UI renders."""
        rows = []
        for run in self.runs:
            value = run.data.metrics.get(self.metric)
            settings = [run.data.params.get(key, "") for key in self.keys]
            shown = "" if value is None else f"{value:.4f}"
            rows.append([run.info.run_name, *settings, run.info.status, shown])
        return markdown(["run", *self.keys, "status", self.metric], rows)

    def metrics(self) -> dict[str, float]:
        """The numbers of trials, and the best value if there is one."""
        finished = sum(run.info.status == "FINISHED" for run in self.runs)
        numbers = {names.NUM_TRIALS: float(len(self.runs)), names.NUM_FINISHED: float(finished)}
        if self.runs and self.metric in self.runs[0].data.metrics:
            numbers[names.best(self.metric)] = self.runs[0].data.metrics[self.metric]
        return numbers


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A table in markdown."""
    lines = [header, ["-"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


class StaleRun(NamedTuple):
    """A pretraining of the tracker that nothing refers to."""

    run_id: str
    name: str
    artifacts: str


def stale_runs(identities: set[str]) -> list[StaleRun]:
    """The pretrainings whose identity is not among those that are kept.

    Runs that were tracked without an identity, and those of a sweep, are left.
    """
    file = database()
    if file is not None and not file.is_file():
        return []
    return [
        StaleRun(run.info.run_id, run.info.run_name, run.info.artifact_uri)
        for run in runs_of(names.tagged(names.KIND, names.Kind.PRETRAINING))
        if (identity := run.data.tags.get(names.IDENTITY))
        and identity not in identities
        and names.PARENT_RUN not in run.data.tags
    ]


def remove_runs(runs: Sequence[StaleRun]) -> None:
    """Delete runs, and the artifacts of those that lie in a folder of this machine."""
    for run in runs:
        connect().delete_run(run.run_id)
        place = urlparse(run.artifacts)
        if place.scheme in ("", "file"):
            shutil.rmtree(Path(unquote(place.path)), ignore_errors=True)


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
