"""Where runs stand in the tracking store, and which code they ran."""

from collections.abc import Iterable
from typing import NamedTuple

from trivium.tracking import names
from trivium.tracking.experiment import connect


class Address(NamedTuple):
    """A run's experiment and the commit of its code, marked where files differed from it."""

    experiment_id: str
    commit: str


def addresses(run_ids: Iterable[str]) -> dict[str, Address]:
    """The address of each run.

    Raises:
        mlflow.exceptions.MlflowException: if there is no such run.
    """
    client = connect()
    found = {}
    for run_id in sorted(set(run_ids)):
        run = client.get_run(run_id)
        tags = run.data.tags
        changed = "-dirty" if tags.get(names.DIRTY) == "true" else ""
        commit = tags.get(names.COMMIT, "unknown") + changed
        found[run_id] = Address(str(run.info.experiment_id), commit)
    return found
