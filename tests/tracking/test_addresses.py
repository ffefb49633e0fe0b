"""Runs know their experiment and their code."""

import pytest
from mlflow.exceptions import MlflowException

from trivium.tracking.client import addresses, connect
from trivium.tracking.run import start_run
from trivium.tracking.server import page


def test_a_run_has_an_address(tracked, tmp_path):
    with start_run("one", {}, {}, experiment="addressed", folder=tmp_path / "one") as run:
        pass
    client = connect()
    client.set_tag(run.run_id, "git_commit", "abc")
    client.set_tag(run.run_id, "git_dirty", "false")
    experiment = client.get_experiment_by_name("addressed").experiment_id
    assert addresses([run.run_id, run.run_id]) == {run.run_id: (experiment, "abc")}
    client.set_tag(run.run_id, "git_dirty", "true")
    assert addresses([run.run_id])[run.run_id].commit == "abc-dirty"


def test_links_of_the_report_lead_where_the_ui_serves():
    from trivium.report.provenance import Provenance

    link = Provenance(0, "r", "3", None).link
    assert link.partition("/runs")[0] == page("127.0.0.1", 5000, "3").partition("/runs")[0]


def test_an_unknown_run_is_an_error(tracked):
    with pytest.raises(MlflowException, match="not found"):
        addresses(["0" * 32])
