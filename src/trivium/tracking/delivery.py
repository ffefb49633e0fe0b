"""Delivers a journal to the tracking store, entry by entry and in order.

Entries: `{"start": {...}}` creates the run; `{"metrics": {key: value}, "step", "time"}`;
`{"params": {...}}`; `{"tags": {...}}`; `{"image": file, "key", "step", "time"}`;
`{"file": path, "to": folder}`; `{"folder": path, "to": folder}`; `{"dataset": {...}}`;
`{"status": ..., "time": ms}`. Sending one twice does no harm, apart from a picture shown twice.
"""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from trivium.tracking import names
from trivium.tracking.client import connect, ensure_experiment
from trivium.tracking.journal import PENDING, Entry, Journal

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

METRICS_PER_BATCH, PARAMS_PER_BATCH = 1000, 100
PARAM_CHARACTERS, DIGEST_CHARACTERS = 6000, 36
REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST")
"""MLflow's codes of errors that are about what was sent: sending it again would fail again."""


def deliver(journal: Journal) -> None:
    """Send everything that the journal holds and the store does not have yet.

    An entry that the store refuses for good is reported and skipped, so that it does not hold
    up those behind it.

    Raises:
        Exception: whatever the store raised, if it cannot be reached or cannot write now.
    """
    client = connect()
    points: list[tuple[str, float, int, int]] = []
    start = end = journal.delivered
    for entry, end in journal.read(start):
        if "metrics" in entry:
            step, time = entry["step"], entry["time"]
            points += [(key, value, time, step) for key, value in entry["metrics"].items()]
            if len(points) < METRICS_PER_BATCH:
                continue
        _send_points(client, journal, points)
        points.clear()
        if "metrics" not in entry:
            _attempt(journal, "an entry", partial(_send, client, journal, entry))
        journal.update(delivered=end)
    _send_points(client, journal, points)
    if end > journal.delivered:
        journal.update(delivered=end)


def _attempt(journal: Journal, what: str, send: Callable[[], object]) -> None:
    from mlflow.exceptions import MlflowException

    try:
        send()
    except (FileNotFoundError, NotADirectoryError, MlflowException) as error:
        if isinstance(error, MlflowException) and error.error_code not in REFUSALS:
            raise
        log.warning("not tracked: %s of %s: %s", what, journal.path, error)


def _send_points(
    client: "MlflowClient", journal: Journal, points: list[tuple[str, float, int, int]]
) -> None:
    from mlflow.entities import Metric

    run_id = _run_id(journal) if points else ""
    for first in range(0, len(points), METRICS_PER_BATCH):
        metrics = [Metric(*point) for point in points[first : first + METRICS_PER_BATCH]]
        send = partial(client.log_batch, run_id, metrics=metrics)
        _attempt(journal, f"{len(metrics)} points", send)


def _run_id(journal: Journal) -> str:
    if journal.run_id is None:
        raise LookupError(f"{journal.path} belongs to no run yet")
    return journal.run_id


def _send(client: "MlflowClient", journal: Journal, entry: Entry) -> None:
    from mlflow.entities import RunTag

    if "start" in entry:
        if journal.run_id is None:
            _start(client, journal, **entry["start"])
        return
    run_id = _run_id(journal)
    match entry:
        case {"params": params}:
            _send_params(client, run_id, params)
        case {"tags": tags}:
            client.log_batch(run_id, tags=[RunTag(*tag) for tag in tags.items()])
        case {"image": name, "key": key, "step": step, "time": time}:
            _send_image(client, run_id, journal.folder / PENDING / name, key, step, time)
        case {"file": name, "to": to}:
            file = journal.folder / name
            client.log_artifact(run_id, str(file), to)
            if file.parent.parent == journal.folder / PENDING:
                file.unlink()
                file.parent.rmdir()
        case {"folder": name, "to": to}:
            folder = journal.folder / name
            if not folder.is_dir():
                raise NotADirectoryError(f"the folder {folder} does not exist any more")
            client.log_artifacts(run_id, str(folder), to)
        case {"dataset": facts}:
            _send_dataset(client, run_id, **facts)
        case {"status": "RUNNING"}:
            client.update_run(run_id, "RUNNING")
        case {"status": status, "time": time}:
            client.set_terminated(run_id, status, time)


def _start(
    client: "MlflowClient",
    journal: Journal,
    *,
    experiment: str,
    name: str,
    tags: dict[str, str],
    time: int,
) -> None:
    """Create the run that a journal belongs to; `time` is in ms."""
    run = client.create_run(ensure_experiment(experiment), time, tags=tags, run_name=name)
    journal.update(run_id=run.info.run_id)


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


def _send_image(
    client: "MlflowClient", run_id: str, file: Path, key: str, step: int, time: int
) -> None:
    from PIL import Image

    with Image.open(file) as image:
        client.log_image(run_id, image, key=key, step=step, timestamp=time, synchronous=True)
    file.unlink()


def _send_dataset(
    client: "MlflowClient", run_id: str, *, context: str, digest: str, **facts: str
) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data = Dataset(digest=digest[:DIGEST_CHARACTERS], **facts)
    client.log_inputs(run_id, [DatasetInput(data, [InputTag(names.DATA_CONTEXT, context)])])
