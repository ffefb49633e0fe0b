"""Launchers on this machine: one job after the other, and warm workers side by side."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from hydra.core.utils import JobReturn, configure_log
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.trivium_launchers._job import Task, begin
from trivium.hardware import num_cores
from trivium.stages.multirun import ended, failed_job
from trivium.stages.stopping import Owner


class BasicLauncher(Launcher):
    """One job after the other, in the multirun's own process."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what the jobs are made of."""
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs; a failed one is a result like the others."""
        parts = begin(self, job_overrides, initial_job_idx)
        found = []
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            found.append(ended(parts.run(number, overrides)))
            configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        return found


class JoblibLauncher(BasicLauncher):
    """Several jobs at once in joblib's (loky's) processes, which are kept from job to job.

    Each worker is an executor of its own: one that is killed fails its job and is replaced, where
    a common pool would break for all.
    """

    def __init__(self, n_jobs: int = -1) -> None:
        """Take as many jobs at once as `n_jobs` says; -1: as many as there are usable cores."""
        self.num_jobs = num_cores() if n_jobs == -1 else n_jobs
        if self.num_jobs < 1:
            raise ValueError(f"hydra.launcher.n_jobs={n_jobs}; expected a positive number or -1.")

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs; a failed one is a result like the others."""
        task = Task(begin(self, job_overrides, initial_job_idx), Owner.this())
        waiting = deque(range(len(job_overrides)))
        idle: list[Any] = [_executor() for _ in range(min(self.num_jobs, len(waiting)))]
        running: dict[Future[JobReturn], tuple[int, Any]] = {}
        found: dict[int, JobReturn] = {}
        try:
            while waiting or running:
                while waiting and idle:
                    index, worker = waiting.popleft(), idle.pop()
                    words = [*job_overrides[index]]
                    running[worker.submit(task, initial_job_idx + index, words)] = index, worker
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    index, worker = running.pop(future)
                    if (error := future.exception()) is None:
                        found[index] = ended(future.result())
                    else:
                        found[index] = ended(failed_job(job_overrides[index], _cause(error)))
                        worker.shutdown(wait=False, kill_workers=True)
                        worker = _executor()
                    idle.append(worker)
        finally:
            for worker in [*idle, *(worker for _, worker in running.values())]:
                worker.shutdown(wait=False, kill_workers=True)
        return [found[index] for index in range(len(job_overrides))]


def _executor() -> Any:
    from joblib.externals.loky import ProcessPoolExecutor

    return ProcessPoolExecutor(max_workers=1)


def _cause(error: BaseException) -> str | BaseException:
    from joblib.externals.loky.process_executor import BrokenProcessPool

    if isinstance(error, BrokenProcessPool):
        return "its process was killed, perhaps for want of memory"
    return error
