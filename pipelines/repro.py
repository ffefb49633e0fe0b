"""`dvc repro` with as many cells at a time as there are cores: python pipelines/repro.py [JOBS].

DVC runs one stage after another. Here the shared stages run first; then those pretraining and
probing stages that DVC finds changed, several at once (each computes on one core, so the results
do not depend on how many run); then `dvc repro` for the rest, which has the last word on what is
up to date. On a machine with one accelerator give JOBS as 1.
"""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

SHARED = ("resolve", "prepare", "bind")
WAVES = (("pretrain", "control"), ("probe",))
CHANGED = re.compile(r"Running stage '([^']+)'")


def dvc(*words: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
    """Run DVC of this interpreter's environment."""
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *words]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        text=True,
        stdout=subprocess.PIPE if capture else None,
        env=os.environ | {"PATH": path, "TRIVIUM_PROGRESS": "lines"},
    )


def num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def changed() -> list[str]:
    """The stages that `dvc repro` would run now."""
    done = dvc("repro", "--dry", capture=True)
    return list(dict.fromkeys(CHANGED.findall(done.stdout)))


def wave(names: list[str], jobs: int) -> None:
    """Run independent stages, several at once; the first failure ends the program."""
    started = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {
            pool.submit(dvc, "repro", "--quiet", "--single-item", name): name for name in names
        }
        for number, done in enumerate(as_completed(waiting), 1):
            if done.result().returncode:
                pool.shutdown(cancel_futures=True)
                sys.exit(f"error: {waiting[done]} failed; what is above says why")
            minutes = (time.monotonic() - started) / 60
            print(f"== {number}/{len(names)} {waiting[done]} done, {minutes:.1f} min", flush=True)


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else num_cores()
    if dvc("repro", *SHARED).returncode:
        sys.exit(1)
    for kinds in WAVES if jobs > 1 else ():
        names = [name for name in changed() if name.split("@")[0] in kinds]
        if names:
            print(f"== {len(names)} stages of {' and '.join(kinds)}, {jobs} at a time", flush=True)
            wave(names, jobs)
    sys.exit(dvc("repro").returncode)


if __name__ == "__main__":
    main()
