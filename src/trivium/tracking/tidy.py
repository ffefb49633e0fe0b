"""Tracked runs that nothing refers to any more, and their removal."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlparse

from trivium.tracking import names
from trivium.tracking.experiment import connect
from trivium.tracking.location import database

PAGE = 1000


class Tracked(NamedTuple):
    """A run of the tracker."""

    run_id: str
    name: str
    artifacts: str


def stale_runs(identities: set[str]) -> list[Tracked]:
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
            max_results=PAGE,
            page_token=token,
        )
        for run in page:
            tags = run.data.tags
            identity = tags.get(names.IDENTITY)
            if identity and identity not in identities and names.PARENT_RUN not in tags:
                info = run.info
                found.append(Tracked(info.run_id, info.run_name, info.artifact_uri))
        token = page.token
        if not token:
            return found


def remove_runs(runs: Sequence[Tracked]) -> None:
    """Delete runs, and the artifacts of those that lie in a folder of this machine."""
    for run in runs:
        connect().delete_run(run.run_id)
        place = urlparse(run.artifacts)
        if place.scheme in ("", "file"):
            shutil.rmtree(Path(unquote(place.path)), ignore_errors=True)
