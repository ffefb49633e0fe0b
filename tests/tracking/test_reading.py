"""Runs read back from a real store."""

import pytest

from trivium.tracking.query import search
from trivium.tracking.run import start_run


@pytest.fixture
def runs(tracked, tmp_path):
    """Three runs of an experiment: two with evaluations, one without."""
    probe = tmp_path / "probe"
    probe.mkdir()
    (probe / "probe.json").write_text("{}")
    found = {}
    for name, seed, parts in (
        ("one", 0, ("image", "text")),
        ("two", 1, ("label",)),
        ("bare", 2, ()),
    ):
        tags = {"dataset": "read back", "seed": seed}
        with start_run(
            name, tags, {"lr": 0.1}, experiment="reading", folder=tmp_path / name
        ) as run:
            for part in parts:
                run.log_artifacts(probe, to=f"probe/shapes-{part}")
            if name == "one":
                (tmp_path / "metrics.json").write_text('{"flops": 3}')
                run.log_file(tmp_path / "metrics.json", to="run")
        found[name] = run.run_id
    return found


def test_runs_come_with_their_files(runs):
    one, two = search("tags.dataset = 'read back'", ["reading"])[-2:]
    assert (one.run_id, two.run_id) == (runs["one"], runs["two"])
    assert one.tags["seed"] == "0"
    assert one.params == {"lr": "0.1"}
    assert [folder.name for folder in one.probes] == ["shapes-image", "shapes-text"]
    assert (one.probes[0] / "probe.json").read_text() == "{}"
    assert (one.folder / "metrics.json").read_text() == '{"flops": 3}'
    assert two.folder is None


def test_a_filter_chooses(runs):
    found = search(f"attributes.run_id = '{runs['two']}'")
    assert [one.run_id for one in found] == [runs["two"]]


@pytest.mark.parametrize(
    ("query", "experiments", "message"),
    [
        ("tags.dataset = 'nothing'", None, "none of 0 finished runs that match"),
        ("tags.dataset IS IT", None, "MLflow cannot search for 'tags.dataset IS IT'"),
        ("", ["nowhere"], "there is no MLflow experiment nowhere; there are .*reading"),
    ],
)
def test_what_finds_nothing_is_one_clear_error(runs, query, experiments, message):
    with pytest.raises(ValueError, match=message):
        search(query, experiments)


def test_runs_without_an_evaluation_are_named_as_such(runs):
    with pytest.raises(ValueError, match=r"none of 1 finished runs .* holds an evaluation"):
        search(f"attributes.run_id = '{runs['bare']}'")
