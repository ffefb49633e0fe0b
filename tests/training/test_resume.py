"""A run that is killed for real, in mid-epoch, ends with the bits of one that was not."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
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


def start(place, name, choices):
    environment = os.environ | {"DVC_ROOT": str(place), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "pipelines" / "pretrain.py"), *choices, *SETTINGS]
    with (place / f"{name}.log").open("a") as log:
        return subprocess.Popen(
            [*command, f"run_dir=outputs/runs/{name}"],
            cwd=place, env=environment, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip


def said(place, name):
    return (place / f"{name}.log").read_text()


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
def test_kill_dash_nine_and_resume_gives_the_same_bits(tmp_path, choices):
    whole = start(tmp_path, "whole", choices)
    assert whole.wait() == 0, said(tmp_path, "whole")

    killed = start(tmp_path, "killed", choices)
    folder = tmp_path / "outputs" / "runs" / "killed"
    while not list(folder.glob("resume-*.ckpt")):
        assert killed.poll() is None, said(tmp_path, "killed")
        time.sleep(0.002)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not (folder / "encoder.safetensors").exists()

    resumed = start(tmp_path, "killed", choices)
    assert resumed.wait() == 0, said(tmp_path, "killed")
    journal = [json.loads(line) for line in (folder / "tracking.jsonl").read_text().splitlines()]
    restored = [int(e["tags"]["resumed_at"]) for e in journal if "resumed_at" in e.get("tags", {})]
    assert len(restored) == 1
    assert 20 <= restored[0] < 400
    assert weights(tmp_path, "whole") == weights(tmp_path, "killed")
    for name in ("metrics.json", "curves.json"):
        first, second = (tmp_path / "outputs" / "runs" / n / name for n in ("whole", "killed"))
        assert first.read_text() == second.read_text()


@pytest.mark.slow
def test_sigterm_exits_with_143_and_keeps_the_state(tmp_path):
    process = start(tmp_path, "stopped", [*IMAGES, "objective=unsupervised/vae"])
    folder = tmp_path / "outputs" / "runs" / "stopped"
    while not list(folder.glob("resume-*.ckpt")):
        assert process.poll() is None, said(tmp_path, "stopped")
        time.sleep(0.002)
    process.terminate()
    assert process.wait() == 143
    assert list(folder.glob("resume-*.ckpt"))
