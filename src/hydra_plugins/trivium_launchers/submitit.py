"""Launchers that start each job as a process of its own with submitit: here, or on a cluster."""

import signal
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher
from omegaconf import OmegaConf

from hydra_plugins.trivium_launchers._job import Task, begin, result_of
from trivium.hardware import num_cores
from trivium.stages.multirun import ended
from trivium.stages.stopping import Owner

PAUSE_SECONDS = 0.2


class SubmititLauncher(BaseSubmititLauncher):
    """What the two have in common: the job as submitit takes it, and submitit's executor."""

    owner: Owner | None = None
    """The multirun that the jobs end with."""

    def begin(self, jobs: Sequence[Sequence[str]], first: int) -> tuple[Task, Any]:
        """Say what will be run; the task of every job, and an executor with the settings."""
        import submitit

        task = Task(begin(self, jobs, first), self.owner)
        cluster, settings = self._EXECUTOR, dict(self.params)
        kept = {"folder": settings.pop("submitit_folder")}
        if "max_num_timeout" in settings:
            kept[f"{cluster}_max_num_timeout"] = settings.pop("max_num_timeout")
        executor = submitit.AutoExecutor(cluster=cluster, **kept)
        common = set(OmegaConf.structured(BaseQueueConf))
        executor.update_parameters(
            **{key if key in common else f"{cluster}_{key}": v for key, v in settings.items()}
        )
        return task, executor


class LocalLauncher(SubmititLauncher):
    """A fresh process for each job, as many at once as `cpus_per_task` leaves cores for."""

    _EXECUTOR = "local"

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs; a failed one is a result like the others."""
        self.owner = Owner.this()
        task, executor = self.begin(job_overrides, initial_job_idx)
        num_jobs = max(1, num_cores() // (self.params.get("cpus_per_task") or 1))
        waiting = deque(range(len(job_overrides)))
        running: dict[int, Any] = {}
        found: dict[int, JobReturn] = {}
        while waiting or running:
            while waiting and len(running) < num_jobs:
                index = waiting.popleft()
                words = [*job_overrides[index]]
                # Processes inherit the mask: the terminal's Ctrl-C is for the multirun alone.
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
                running[index] = executor.submit(task, initial_job_idx + index, words)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            for index in [index for index, job in running.items() if job.done()]:
                without = "its process ended without a result"
                result = result_of(running.pop(index), job_overrides[index], without)
                found[index] = ended(result)
            time.sleep(PAUSE_SECONDS)
        return [found[index] for index in range(len(job_overrides))]


class SlurmLauncher(SubmititLauncher):
    """Jobs in SLURM's queue; the repeated command waits for those of its own that are there.

    Ctrl-C and SIGTERM cancel those that this command submitted; a closed terminal (SIGHUP) leaves
    all where they are.
    """

    _EXECUTOR = "slurm"

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Submit what is not in the queue, and wait for all; a failed job is a result as well."""
        from hydra_plugins.trivium_launchers._slurm import Queue, Records, check_commands

        check_commands()
        task, executor = self.begin(job_overrides, initial_job_idx)
        records = Records(self.config, Path(self.params["submitit_folder"]).parent)
        queue = Queue(records, job_overrides)
        if new := queue.adopt():
            numbers = [initial_job_idx + index for index in new]
            words = [[*job_overrides[index]] for index in new]
            queue.submit(lambda: executor.map_array(task, numbers, words), new)
        return queue.wait()
