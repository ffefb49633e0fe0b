"""Opens the tracking UI with two light processes: `python -m trivium.tracking.server`."""

import argparse
import os
import socket
import sys

from trivium.tracking.client import (
    artifact_root,
    database,
    ensure_experiment,
    quieten,
    tracking_uri,
)
from trivium.tracking.relocate import misplaced
from trivium.tracking.run import reap

CHARTS = "compareRunsMode=CHART&workflowType=machine_learning"
"""The UI's mode for model training."""


def page(host: str, port: int, experiment_id: str) -> str:
    """The address of the charts of an experiment's runs."""
    return f"http://{host}:{port}/#/experiments/{experiment_id}/runs?{CHARTS}"


def is_free(host: str, port: int) -> bool:
    """Whether nothing listens on a port yet."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def main() -> None:
    """Reap dead runs, then become MLflow's server on the project's own database."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--host", default="127.0.0.1", help="others than loopback are unprotected")
    given = parser.parse_args()
    file = database()
    if file is None:
        sys.exit(f"MLFLOW_TRACKING_URI={tracking_uri()} is a server already: open it in a browser")
    if not is_free(given.host, given.port):
        sys.exit(f"port {given.port} is in use: choose another one with --port")
    experiment_id = ensure_experiment()
    if killed := reap():
        print(f"{len(killed)} runs whose process is gone are now KILLED")
    if misplaced(file):
        print("artifacts are recorded elsewhere: run `python -m trivium.tracking.relocate`")
    quieten()
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    print(f"MLflow: {page(given.host, given.port, experiment_id)}", flush=True)
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
        *("--backend-store-uri", tracking_uri(), "--default-artifact-root", str(artifact_root())),
        *("--host", given.host, "--port", str(given.port)),
    ]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
