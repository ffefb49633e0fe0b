"""Reading probe folders: what is read is what was written, and mixtures are refused."""

import json

import numpy as np
import pytest

from trivium.report.records import Entry, Prediction, read_entries

from .fabricated import fabricate

SKILL = {0.01: 0.2, 0.1: 0.9, 1.0: 1.6}


def edit(entry: Entry, **changes) -> None:
    path = entry.probe_folder / "probe.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_reads_facts_records_and_predictions(tmp_path):
    entry = fabricate(tmp_path, "simclr", "self_supervised", SKILL, seed=2)
    (one,) = read_entries([entry])
    document = json.loads((entry.probe_folder / "probe.json").read_text())
    assert one.protocol == "1"
    assert one.facts.objective == "simclr"
    assert one.facts.flops == 2_000_000_000_000
    assert [record.value for record in one.records] == [r["value"] for r in document["records"]]
    assert {record.run_id for record in one.records} == {"run2simclr"}
    assert one.predictions[Prediction("linear", 0.01, 4)].shape == one.labels.shape
    assert len(one.predictions) == 22


def test_no_entries():
    with pytest.raises(ValueError, match="at least one cell"):
        read_entries([])


def test_missing_folder_names_the_stage(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"probe\.json does not exist: run the probe stage"):
        read_entries([Entry("a", 0, tmp_path / "nowhere")])


def test_two_protocols_are_refused(tmp_path):
    old = fabricate(tmp_path, "simclr", "self_supervised", SKILL, protocol="1")
    new = fabricate(tmp_path, "mae", "self_supervised", SKILL, protocol="2")
    with pytest.raises(ValueError, match="two protocols") as error:
        read_entries([old, new])
    assert str(old.probe_folder) in str(error.value)
    assert str(new.probe_folder) in str(error.value)


def test_different_test_items_are_refused(tmp_path):
    one = fabricate(tmp_path, "simclr", "self_supervised", SKILL)
    two = fabricate(tmp_path, "mae", "self_supervised", SKILL, num_items=299)
    with pytest.raises(ValueError, match="different items of shapes"):
        read_entries([one, two])


def test_two_datasets_may_differ_in_their_items(tmp_path):
    one = fabricate(tmp_path, "simclr", "self_supervised", SKILL)
    two = fabricate(tmp_path, "simclr", "self_supervised", SKILL, num_items=299, dataset="other")
    assert len(read_entries([one, two])) == 2


def test_a_run_twice_is_refused(tmp_path):
    entry = fabricate(tmp_path, "simclr", "self_supervised", SKILL)
    with pytest.raises(ValueError, match="both hold seed 0"):
        read_entries([entry, entry])


def test_another_seed_than_the_grid_names(tmp_path):
    entry = fabricate(tmp_path, "simclr", "self_supervised", SKILL)
    with pytest.raises(ValueError, match="from seed 0, but the grid names it as seed 1"):
        read_entries([entry._replace(seed=1)])


@pytest.mark.parametrize("missing", ["protocol", "facts", "records"])
def test_missing_key(tmp_path, missing):
    entry = fabricate(tmp_path, "simclr", "self_supervised", SKILL)
    path = entry.probe_folder / "probe.json"
    document = json.loads(path.read_text())
    del document[missing]
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=f"damaged evaluation \\('{missing}'\\)"):
        read_entries([entry])


def test_unknown_paradigm(tmp_path):
    entry = fabricate(tmp_path, "simclr", "magic", SKILL)
    with pytest.raises(ValueError, match="paradigm 'magic'"):
        read_entries([entry])


def test_broken_json(tmp_path):
    entry = fabricate(tmp_path, "simclr", "self_supervised", SKILL)
    (entry.probe_folder / "probe.json").write_text("{")
    with pytest.raises(ValueError, match="holds a damaged evaluation"):
        read_entries([entry])


def test_broken_predictions(tmp_path):
    entry = fabricate(tmp_path, "simclr", "self_supervised", SKILL)
    (entry.probe_folder / "predictions.npz").write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match="holds a damaged evaluation"):
        read_entries([entry])


def test_pickles_are_never_loaded(tmp_path):
    entry = fabricate(tmp_path, "simclr", "self_supervised", SKILL)
    np.savez(entry.probe_folder / "predictions.npz", labels=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="holds a damaged evaluation"):
        read_entries([entry])


def test_predictions_of_another_length(tmp_path):
    entry = fabricate(tmp_path, "simclr", "self_supervised", SKILL)
    path = entry.probe_folder / "predictions.npz"
    arrays = dict(np.load(path)) | {"linear/1.0/0": np.zeros(3, dtype=np.int16)}
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=r"linear/1.0/0 has 3 items"):
        read_entries([entry])
