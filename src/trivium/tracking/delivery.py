"""Delivers a journal to the tracking store, entry by entry and in order.

Entries: `{"start": {...}}` creates the run; `{"metrics": {key: value}, "step", "time"}`;
`{"params": {...}}`; `{"tags": {...}}`; `{"image": file, "key", "step", "time"}`;
`{"file": path, "to": folder}`; `{"folder": path, "to": folder}`; `{"dataset": {...}}`;
`{"status": ..., "time": ms}`. Sending one twice does no harm, apart from a picture shown twice.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivium.tracking import names
from trivium.tracking.client import connect, ensure_experiment
from trivium.tracking.journal import PENDING, Entry, Journal

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

METRICS_PER_BATCH = 1000
PARAMS_PER_BATCH = 100
PARAM_CHARACTERS = 6000
DIGEST_CHARACTERS = 36


def deliver(journal: Journal) -> None:
    """Send everything that the journal holds and the store does not have yet.

    An entry that the store refuses for good is reported and skipped, so that it does not hold
    up those behind it.

    Raises:
        Exception: whatever the store raised, if it cannot be reached or cannot write now.
    """
    client = connect()
    points: list[tuple[str, float, int, int]] = []
    end = start = journal.delivered
    for entry, end in journal.read(start):
        if "metrics" in entry:
            step, time = entry["step"], entry["time"]
            points += [(key, value, time, step) for key, value in entry["metrics"].items()]
            if len(points) < METRICS_PER_BATCH:
                continue
        _send_points(client, journal, points)
        points.clear()
        if "metrics" not in entry:
            _attempt(client, journal, entry)
        journal.update(delivered=end)
    _send_points(client, journal, points)
    if end > journal.delivered:
        journal.update(delivered=end)


def is_refusal(error: Exception) -> bool:
    """Whether an error is about what was sent, so that sending it again would fail again."""
    from mlflow.exceptions import MlflowException

    refusals = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST"}
    return isinstance(error, MlflowException) and error.error_code in refusals


def _send_points(
    client: "MlflowClient", journal: Journal, points: list[tuple[str, float, int, int]]
) -> None:
    from mlflow.entities import Metric

    for first in range(0, len(points), METRICS_PER_BATCH):
        metrics = [Metric(*point) for point in points[first : first + METRICS_PER_BATCH]]
        try:
            client.log_batch(_run_id(journal), metrics=metrics)
        except Exception as error:
            if not is_refusal(error):
                raise
            log.warning("MLflow refused %d points of %s: %s", len(metrics), journal.path, error)


def _attempt(client: "MlflowClient", journal: Journal, entry: Entry) -> None:
    try:
        _send(client, journal, entry)
    except Exception as error:
        gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        if not (gone or is_refusal(error)):
            raise
        log.warning("not tracked, entry of %s: %s", journal.path, error)


def _run_id(journal: Journal) -> str:
    if journal.run_id is None:
        raise LookupError(f"{journal.path} belongs to no run yet")
    return journal.run_id


def _send(client: "MlflowClient", journal: Journal, entry: Entry) -> None:
    if "start" in entry:
        if journal.run_id is None:
            start(journal, entry["start"])
        return
    run_id = _run_id(journal)
    if "params" in entry:
        _send_params(client, run_id, entry["params"])
    elif "tags" in entry:
        from mlflow.entities import RunTag

        client.log_batch(run_id, tags=[RunTag(*tag) for tag in entry["tags"].items()])
    elif "image" in entry:
        _send_image(client, run_id, journal.folder / PENDING / entry["image"], entry)
    elif "file" in entry:
        file = journal.folder / entry["file"]
        client.log_artifact(run_id, str(file), entry["to"])
        if file.parent.parent == journal.folder / PENDING:
            file.unlink()
            file.parent.rmdir()
    elif "folder" in entry:
        client.log_artifacts(run_id, str(_existing(journal.folder / entry["folder"])), entry["to"])
    elif "dataset" in entry:
        _send_dataset(client, run_id, entry["dataset"])
    elif entry.get("status") == "RUNNING":
        client.update_run(run_id, "RUNNING")
    elif "status" in entry:
        client.set_terminated(run_id, entry["status"], entry["time"])


def start(journal: Journal, facts: dict[str, Any]) -> str:
    """Create the run that a journal belongs to.

    Args:
        journal: receives the run's id.
        facts: `experiment`, `name`, `tags`, `time` (ms).

    Returns:
        The new run's id.
    """
    experiment_id = ensure_experiment(facts["experiment"])
    run = connect().create_run(
        experiment_id, facts["time"], tags=facts["tags"], run_name=facts["name"]
    )
    journal.update(run_id=run.info.run_id)
    return str(run.info.run_id)


def _send_params(client: "MlflowClient", run_id: str, params: dict[str, str]) -> None:
    """Parameters cannot change in MLflow: the first value stays, another one is reported."""
    from mlflow.entities import Param

    known = client.get_run(run_id).data.params
    clipped = {key: value[:PARAM_CHARACTERS] for key, value in params.items()}
    changed = sorted(key for key in clipped if known.get(key, clipped[key]) != clipped[key])
    if changed:
        log.warning("run %s keeps its first values of %s", run_id, ", ".join(changed))
    new = [Param(key, value) for key, value in clipped.items() if key not in known]
    for first in range(0, len(new), PARAMS_PER_BATCH):
        client.log_batch(run_id, params=new[first : first + PARAMS_PER_BATCH])


def _send_image(client: "MlflowClient", run_id: str, file: Path, entry: Entry) -> None:
    from PIL import Image

    with Image.open(file) as image:
        client.log_image(
            run_id,
            image,
            key=entry["key"],
            step=entry["step"],
            timestamp=entry["time"],
            synchronous=True,
        )
    file.unlink()


def _send_dataset(client: "MlflowClient", run_id: str, facts: dict[str, Any]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    context = facts.pop("context")
    facts["digest"] = facts["digest"][:DIGEST_CHARACTERS]
    tags = [InputTag(names.DATA_CONTEXT, context)]
    client.log_inputs(run_id, [DatasetInput(Dataset(**facts), tags)])


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise NotADirectoryError(f"the folder {folder} does not exist any more")
    return folder
