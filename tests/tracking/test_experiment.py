import os
import subprocess
import sys

import pytest

from trivium.tracking.client import ensure_experiment


def test_four_processes_create_one_database_and_experiment(created):
    root, printed, codes = created
    assert codes == [0, 0, 0, 0]
    assert len(set(printed)) == 1
    assert printed[0].isdigit()
    assert (root / "mlruns" / "mlflow.db").is_file()


def test_the_experiment_is_found_again(tracked, client):
    first = ensure_experiment("again")
    assert ensure_experiment("again") == first
    place = client.get_experiment(first).artifact_location
    assert place == str(tracked / "mlruns" / "artifacts")


def test_connecting_leaves_no_address_in_the_environment(client):
    client.search_experiments(max_results=1)
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_a_deleted_experiment_is_one_clear_error(client):
    client.delete_experiment(ensure_experiment("gone"))
    with pytest.raises(ValueError, match=r"'gone' is deleted; restore it, or choose another"):
        ensure_experiment("gone")


def test_importing_any_file_of_tracking_leaves_mlflow_out():
    code = (
        "import importlib, pkgutil, sys, trivium.tracking as package\n"
        "for item in pkgutil.iter_modules(package.__path__):\n"
        "    importlib.import_module(f'trivium.tracking.{item.name}')\n"
        "heavy = {'mlflow', 'torch', 'pandas', 'sqlalchemy', 'rich.console'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
