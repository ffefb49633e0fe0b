import os
import time

import numpy as np
import pytest

from trivium.evaluation.results import Evaluation, read_evaluation, write_evaluation

RECORD = {"task": "label", "probe": "linear", "fraction": 0.1, "draw": 0, "value": 0.5, "C": 1.0}
EVALUATION = Evaluation(
    protocol="1",
    checkpoint="abc",
    facts={"dataset": "größe", "seed": 3, "flops": 10**13},
    records=(RECORD,),
    predictions={
        "linear/0.1/0": np.arange(7, dtype=np.int16),
        "labels": np.zeros(7, dtype=np.int16),
    },
)


def test_reading_gives_what_was_written(tmp_path):
    write_evaluation(EVALUATION, tmp_path / "new" / "folder")
    read = read_evaluation(tmp_path / "new" / "folder")
    assert (read.protocol, read.checkpoint, read.facts) == ("1", "abc", EVALUATION.facts)
    assert read.records == EVALUATION.records
    assert read.predictions.keys() == EVALUATION.predictions.keys()
    for key, array in EVALUATION.predictions.items():
        np.testing.assert_array_equal(read.predictions[key], array)
        assert read.predictions[key].dtype == np.int16


def test_bytes_do_not_depend_on_the_time_or_on_the_order(tmp_path, monkeypatch):
    write_evaluation(EVALUATION, tmp_path / "first")
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    turned = dict(reversed(EVALUATION.predictions.items()))
    write_evaluation(
        Evaluation("1", "abc", EVALUATION.facts, EVALUATION.records, turned), tmp_path / "second"
    )
    for name in ("probe.json", "predictions.npz"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_a_failed_write_leaves_the_old_files(tmp_path, monkeypatch):
    write_evaluation(EVALUATION, tmp_path)
    before = (tmp_path / "predictions.npz").read_bytes()

    def full(_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_evaluation(Evaluation("2", "x", {}, (), {}), tmp_path)
    assert (tmp_path / "predictions.npz").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["predictions.npz", "probe.json"]


@pytest.mark.parametrize("value", [float("nan"), np.float32(1.0)])
def test_only_plain_finite_values_are_written(tmp_path, value):
    with pytest.raises(ValueError, match="plain, finite"):
        write_evaluation(Evaluation("1", "abc", {"flops": value}, (RECORD,), {}), tmp_path)


def test_missing_and_damaged_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="run the probe stage first"):
        read_evaluation(tmp_path)
    write_evaluation(EVALUATION, tmp_path)
    (tmp_path / "predictions.npz").write_bytes(b"broken")
    with pytest.raises(ValueError, match="damaged evaluation"):
        read_evaluation(tmp_path)
