"""A run that is killed for real, in mid-epoch, ends with the bits of one that was not."""

import hashlib
import json
import os
import signal
import time

import pytest

SECONDS = 120
IMAGES = ["data=synthetic", "encoder.patch=8"]
TEXTS = ["data=synthetic_text", "data.spec.shape=[12]", "encoder=text_nano"]
SETTINGS = [
    "encoder.width=16",
    "encoder.depth=2",
    "encoder.num_heads=2",
    "trainer.batch_size=64",
    "trainer.precision=32-true",
    "trainer.checkpoint_steps=20",
    "budget=steps",
    "budget.steps=400",
    "monitor.num_items=60",
    "monitor.num_glances=2",
    "monitor.pictures=false",
    "monitor.sentinels.action=warn",
]


@pytest.fixture
def start(server, tmp_path):
    """Start a run of this name; its process's number."""

    def begin(name, choices):
        return server.start(
            tmp_path, "pretrain.py", *choices, *SETTINGS, f"run_dir=outputs/runs/{name}"
        )

    return begin


def until_resumable(folder):
    """Wait until a run has written the state that it can go on from."""
    end = time.monotonic() + SECONDS
    while not list(folder.glob("resume-*.ckpt")):
        assert time.monotonic() < end
        time.sleep(0.002)


def weights(place, name):
    path = place / "outputs" / "runs" / name / "encoder.safetensors"
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize(
    "choices",
    [
        [*IMAGES, "objective=unsupervised/vae"],
        [*IMAGES, "objective=self_supervised/mae"],
        [*TEXTS, "objective=self_supervised/gpt"],
        [*TEXTS, "objective=self_supervised/electra"],
    ],
    ids=lambda choices: choices[-1].rpartition("/")[2],
)
def test_kill_dash_nine_and_resume_gives_the_same_bits(server, start, tmp_path, choices):
    start("whole", choices)
    whole = server.wait()
    assert whole.returncode == 0, whole.stderr

    killed = start("killed", choices)
    folder = tmp_path / "outputs" / "runs" / "killed"
    until_resumable(folder)
    os.kill(killed, signal.SIGKILL)
    assert server.wait().returncode == -signal.SIGKILL
    assert not (folder / "encoder.safetensors").exists()

    start("killed", choices)
    resumed = server.wait()
    assert resumed.returncode == 0, resumed.stderr
    journal = [json.loads(line) for line in (folder / "tracking.jsonl").read_text().splitlines()]
    restored = [int(e["tags"]["resumed_at"]) for e in journal if "resumed_at" in e.get("tags", {})]
    assert len(restored) == 1
    assert 20 <= restored[0] < 400
    assert weights(tmp_path, "whole") == weights(tmp_path, "killed")
    for name in ("metrics.json", "curves.json"):
        first, second = (tmp_path / "outputs" / "runs" / n / name for n in ("whole", "killed"))
        assert first.read_text() == second.read_text()


@pytest.mark.slow
def test_sigterm_exits_with_143_and_keeps_the_state(server, start, tmp_path):
    process = start("stopped", [*IMAGES, "objective=unsupervised/vae"])
    folder = tmp_path / "outputs" / "runs" / "stopped"
    until_resumable(folder)
    os.kill(process, signal.SIGTERM)
    assert server.wait().returncode == 143
    assert list(folder.glob("resume-*.ckpt"))
