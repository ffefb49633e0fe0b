"""Reading runs back: which ones match, what set them apart, and their files on this disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trivium.tracking import names
from trivium.tracking.experiment import connect

if TYPE_CHECKING:
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
