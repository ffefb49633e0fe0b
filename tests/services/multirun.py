"""Multiruns as processes of their own: started, stopped, and what they leave behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
APP = Path(__file__).with_name("app") / "app.py"
SECONDS = 300


class Multirun:
    """One command in a folder; `output` grows while it runs."""

    def __init__(self, place, script, *words, python=sys.executable, environment=None):
        self.place = place
        self.log = place / "output"
        own = {
            "PYTHONPATH": str(ROOT / "src"),
            "TRIVIUM_CONF": str(ROOT / "conf"),
            "DVC_ROOT": str(place),
            "OMP_NUM_THREADS": "1",
        }
        inherited = {key: value for key, value in os.environ.items() if key not in HIDDEN}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [python, str(script), "-m", *words],
                cwd=place,
                env=inherited | own | (environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    @property
    def output(self):
        return self.log.read_text()

    def wait(self):
        """The exit code."""
        return self.process.wait(SECONDS)

    def until(self, condition):
        """Wait until something has happened while the command runs."""
        end = time.monotonic() + SECONDS
        while not condition():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < end, self.output
            time.sleep(0.1)

    def press_ctrl_c(self):
        """What a terminal sends: SIGINT to every process that it is the terminal of."""
        os.killpg(self.process.pid, signal.SIGINT)

    def left(self):
        """Processes that still run in the folder, a moment after the command has ended."""
        for _ in range(50):
            if not (found := processes(self.place)):
                return []
            time.sleep(0.1)
        return found


HIDDEN = ("MLFLOW_TRACKING_URI", "DVC_STAGE", "TRIVIUM_PARENT_RUN")


def processes(place):
    """Command lines of the processes whose working directory is this one."""
    return [
        " ".join(process.info["cmdline"] or [])
        for process in psutil.process_iter(["cwd", "cmdline"])
        if process.info["cwd"] and Path(process.info["cwd"]) == place.resolve()
    ]


def files(place, name):
    """Sorted names of the files in one of the folders that the app's jobs write to."""
    return sorted(path.name for path in (place / name).glob("*"))


def numbers(place, name):
    """The numbers of the app's jobs that left a file there."""
    return sorted(int(file.partition("-")[0]) for file in files(place, name))
