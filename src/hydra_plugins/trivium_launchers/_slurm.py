"""Jobs of a multirun in SLURM's queue: found again, waited for, cancelled.

Asks `squeue` and `scontrol` alone: many clusters keep no accounts, and then `sacct` fails.
"""

import hashlib
import json
import logging
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from omegaconf import DictConfig

from hydra_plugins.trivium_launchers._job import result_of
from trivium.io import write_text
from trivium.stages.multirun import ended, failed_job
from trivium.stages.stopping import on_stop

log = logging.getLogger("trivium.launcher")

PAUSE_SECONDS = 2.0
LATE_SECONDS = 10.0
"""How long a shared disk may take to show the result of a job that has left the queue."""
COMMAND_SECONDS = 60.0
CANCEL_SECONDS = 5.0
ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
         "PREEMPTED", "REVOKED", "TIMEOUT"}  # fmt: skip
HELD_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def check_commands() -> None:
    """Refuse to launch where SLURM is not installed.

    Raises:
        RuntimeError: if one of its commands is missing.
    """
    missing = [name for name in ("sbatch", "srun", "squeue", "scancel") if not shutil.which(name)]
    if missing:
        raise RuntimeError(
            f"launcher=slurm needs {', '.join(missing)}: run it on a login node of the cluster."
        )


def run(*words: str, seconds: float = COMMAND_SECONDS) -> str | None:
    """What a command of SLURM prints; None if it fails or does not answer."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("%s: %s", words[0], error)
        return None
    return None if done.returncode else done.stdout


def queued_jobs() -> set[str] | None:
    """Ids of this user's jobs that are waiting or running; None if SLURM does not answer."""
    said = run("squeue", "--noheader", "--array", "--me", "--states=all", "--format=%i %T")
    if said is None:
        return None
    pairs = [line.split() for line in said.splitlines() if line.strip()]
    return {pair[0] for pair in pairs if pair[1] not in ENDED}


def reason(job_id: str) -> str:
    """Why a job that left no result ended, as far as SLURM still knows."""
    said = run("scontrol", "show", "job", job_id) or ""
    facts = dict(re.findall(r"(\w+)=(\S+)", said))
    state = facts.get("JobState", "gone")
    return f"SLURM job {job_id} left no result (state {state}, reason {facts.get('Reason', '?')})"


class Records:
    """Which job of the cluster is which job of a command: a small file for each, beside the sweeps.

    A job is known by the script, the folder and the overrides that it was started with.
    """

    def __init__(self, config: DictConfig, folder: Path) -> None:
        self.folder = folder
        self.command = [str(config.hydra.job.name), str(config.hydra.runtime.cwd)]

    def path(self, overrides: Sequence[str]) -> Path:
        """Where a job's record lies."""
        text = json.dumps([*self.command, sorted(overrides)])
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"

    def read(self, overrides: Sequence[str]) -> dict[str, Any] | None:
        """The record of a job, if there is a readable one."""
        try:
            found: dict[str, Any] = json.loads(self.path(overrides).read_text())
            return found
        except (OSError, ValueError):
            return None

    def write(self, overrides: Sequence[str], job: Any) -> None:
        """Record that a job was submitted."""
        content = {"job_id": job.job_id, "num_tasks": job.num_tasks, "overrides": [*overrides]}
        write_text(self.path(overrides), json.dumps(content) + "\n")

    def remove(self, overrides: Sequence[str]) -> None:
        """Forget a job that has ended."""
        self.path(overrides).unlink(missing_ok=True)


class Queue:
    """The jobs of one multirun that are in SLURM's queue."""

    def __init__(self, records: Records, jobs: Sequence[Sequence[str]]) -> None:
        self.records = records
        self.overrides = jobs
        self.waiting: dict[int, Any] = {}
        self.submitted: set[int] = set()
        self.found: dict[int, JobReturn] = {}
        on_stop(self.cancel)

    def adopt(self) -> list[int]:
        """Find jobs that an earlier command left in the queue; the numbers of all others.

        Raises:
            RuntimeError: if SLURM does not say what is in its queue.
        """
        from submitit import SlurmJob

        known = [self.records.read(words) for words in self.overrides]
        if any(known):
            alive = queued_jobs()
            if alive is None:
                raise RuntimeError("squeue does not answer, and jobs of this command may be queued")
            for index, record in enumerate(known):
                if record and record["job_id"] in alive:
                    self.waiting[index] = SlurmJob(
                        folder=self.records.folder / "%j",
                        job_id=record["job_id"],
                        tasks=[*range(record["num_tasks"])],
                    )
        if self.waiting:
            ids = ", ".join(job.job_id for job in self.waiting.values())
            log.info("Waiting for %d jobs that are queued already: %s", len(self.waiting), ids)
        return [index for index in range(len(self.overrides)) if index not in self.waiting]

    def submit(self, submission: Callable[[], Sequence[Any]], numbers: Sequence[int]) -> None:
        """Submit jobs and record them; a signal in between would lose them, so it has to wait."""
        signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
        try:
            for index, job in zip(numbers, submission(), strict=True):
                self.records.write(self.overrides[index], job)
                self.waiting[index] = job
                self.submitted.add(index)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
        ids = ", ".join(self.waiting[index].job_id for index in numbers)
        log.info("Submitted %d jobs: %s", len(numbers), ids)

    def wait(self) -> list[JobReturn]:
        """Wait until every job has left the queue; their results, in order."""
        while self.waiting:
            alive = queued_jobs()
            if alive is not None:
                gone = [index for index, job in self.waiting.items() if job.job_id not in alive]
                for index in gone:
                    self.collect(index)
            if self.waiting:
                time.sleep(PAUSE_SECONDS)
        return [self.found[index] for index in range(len(self.overrides))]

    def collect(self, index: int) -> None:
        """Read the result of a job that has left the queue."""
        job, words = self.waiting[index], self.overrides[index]
        until = time.monotonic() + LATE_SECONDS
        while not Path(job.paths.result_pickle).is_file() and time.monotonic() < until:
            if "COMPLETED" not in (why := reason(job.job_id)):
                break
            time.sleep(PAUSE_SECONDS)
        else:
            why = reason(job.job_id)
        try:
            self.found[index] = ended(result_of(job, words, why))
        except Exception as error:
            self.found[index] = ended(failed_job(words, error))
        self.records.remove(words)
        del self.waiting[index]

    def cancel(self) -> None:
        """Take the jobs that this command submitted and that have not ended out of the queue."""
        mine = {
            index: str(self.waiting[index].job_id) for index in self.submitted & {*self.waiting}
        }
        if mine:
            run("scancel", *mine.values(), seconds=CANCEL_SECONDS)
            for index in mine:
                self.records.remove(self.overrides[index])
            print(f"cancelled {len(mine)} SLURM jobs", flush=True)
        if left := len(self.waiting) - len(mine):
            print(f"{left} SLURM jobs of an earlier command go on", flush=True)
