"""Services that tests start and end; without one a test is skipped, and fails where CI is set."""

import os

import pytest

from services.multirun import ROOT
from services.slurm import missing
from services.slurm import slurm as started


def unavailable(why):
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def slurm():
    if lacking := missing():
        unavailable(f"no {', '.join(lacking)}: install Debian's slurm-wlm and munge")
    with started() as service:
        yield service


@pytest.fixture(scope="session")
def ray_python():
    python = ROOT / ".venv-ray" / "bin" / "python"
    if not python.exists():
        unavailable("no .venv-ray: make env-ray")
    return str(python)
