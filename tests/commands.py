"""The entry points as a user types them, with choices that make them quick."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

SMALL = [
    "data=synthetic",
    "encoder.width=16",
    "encoder.depth=1",
    "encoder.num_heads=2",
    "encoder.patch=8",
    "trainer.batch_size=64",
    "trainer.precision=32-true",
    "monitor.num_items=60",
    "monitor.sentinels.action=warn",
]

TEXTS = [
    "data=synthetic_text",
    "encoder=text_nano",
    "encoder.width=16",
    "encoder.depth=1",
    "budget=steps",
    "budget.steps=6",
    "monitor.num_items=60",
    "monitor.sentinels.action=warn",
]


def run(place, *words, options=()):
    environment = os.environ | {"DVC_ROOT": str(place), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(ROOT / "src")
    environment.pop("MLFLOW_TRACKING_URI", None)
    script, *rest = words
    command = [sys.executable, *options, str(ROOT / "pipelines" / script), *rest]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
