"""The entry points as a user types them, with choices that make them quick."""

import json
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


def environment_of(place):
    """What a command finds that runs in a folder as if that were the project."""
    found = os.environ | {"DVC_ROOT": str(place), "PYTHONPATH": str(ROOT / "src")}
    found |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    found.pop("MLFLOW_TRACKING_URI", None)
    return found


class Server:
    """Starts entry points, one at a time, as forks of a process that has imported everything."""

    def __init__(self, folder):
        self.files = {"out": str(folder / "out"), "err": str(folder / "err")}
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "server.py")],
            env=environment_of(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def start(self, place, script, *words):
        """Start a command in a folder; its process's number."""
        for path in self.files.values():
            Path(path).write_text("")
        command = [str(ROOT / "pipelines" / script), *words]
        job = {"words": command, "place": str(place), "environment": environment_of(place)}
        print(json.dumps(job | self.files), file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def wait(self):
        """Exit code and output of the command that was started last."""
        code = int(self.process.stdout.readline())
        out, err = (Path(self.files[name]).read_text() for name in ("out", "err"))
        return subprocess.CompletedProcess([], code, out, err)

    def run(self, place, script, *words):
        """Run a command in a folder to its end."""
        self.start(place, script, *words)
        return self.wait()
