"""A job of a multirun in the process that a launcher gives it; it returns, whatever happens."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, configure_log, filter_overrides, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from trivium.stages.multirun import as_failure, failed_job, is_failed
from trivium.stages.stopping import Owner, enter_worker

log = logging.getLogger("trivium.launcher")

STOPPED = (130, 143)
"""Exit codes of a process that was told to stop."""


class Parts(NamedTuple):
    """What all jobs of a multirun are made of: Hydra's loader, the config, the function."""

    context: HydraContext
    config: DictConfig
    function: TaskFunction

    def run(self, number: int, overrides: Sequence[str]) -> JobReturn:
        """Compose and run one job in this process; an error comes back as its result."""
        try:
            job = self.context.config_loader.load_sweep_config(self.config, [*overrides])
            with open_dict(job):
                job.hydra.job.id = f"{job.hydra.job.name}_{number}"
                job.hydra.job.num = number
            HydraConfig.instance().set_config(job)
            found = run_job(
                hydra_context=self.context,
                task_function=self.function,
                config=job,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
        except SystemExit as end:
            if end.code in STOPPED:
                raise
            return failed_job(overrides, str(end.code))
        except Exception as error:
            return failed_job(overrides, error)
        if is_failed(found):
            found.return_value = as_failure(found._return_value)
        return found


class Task:
    """What the jobs of a multirun share, for processes that do not know its script.

    The script's functions are unpickled when a job begins, after its import paths are known.
    """

    def __init__(self, parts: Parts, owner: Owner | None) -> None:
        """Pickle what every job needs.

        Args:
            parts: Of every job.
            owner: the multirun that the workers end with; None for jobs that outlive it.
        """
        import cloudpickle

        self.path = [place or str(Path.cwd()) for place in sys.path]
        self.owner = owner
        self.content = cloudpickle.dumps((parts, Singleton.get_state()))

    def __call__(self, number: int, overrides: Sequence[str]) -> JobReturn:
        """Run one job in a worker's process."""
        import cloudpickle

        enter_worker(self.owner)
        sys.path.extend(place for place in self.path if place not in sys.path)
        setup_globals()
        parts, state = cloudpickle.loads(self.content)
        Singleton.set_state(state)
        try:
            return cast(Parts, parts).run(number, overrides)
        except SystemExit:  # told to stop: a worker that is kept would take the next job
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(STOPPED[-1])

    def checkpoint(self, number: int, overrides: Sequence[str]) -> Any:
        """What submitit submits again when the cluster takes the node away: the run goes on."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, number, overrides)


def begin(launcher: Launcher, jobs: Sequence[Sequence[str]], first: int) -> Parts:
    """Say what will be run, before it is; what the jobs are made of.

    Args:
        launcher: after its `setup`.
        jobs: the overrides of each.
        first: the number of the first job.
    """
    made: Any = launcher
    parts = Parts(made.hydra_context, made.config, made.task_function)
    hydra = parts.config.hydra
    setup_globals()
    configure_log(hydra.hydra_logging, hydra.verbose)
    Path(str(hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    log.info("Launching %d jobs", len(jobs))
    for number, overrides in enumerate(jobs, first):
        log.info("\t#%d : %s", number, " ".join(filter_overrides([*overrides])))
    return parts


def result_of(job: Any, overrides: Sequence[str], without: str) -> JobReturn:
    """What a job of submitit that has ended left on disk; `without` says why it left nothing."""
    from submitit.core.utils import pickle_load

    path = Path(job.paths.result_pickle)
    if not path.is_file():
        kept = [file for file in (job.paths.stderr, job.paths.stdout) if file.is_file()]
        return failed_job(overrides, f"{without}; its output: {kept[0] if kept else 'none'}")
    outcome, value = pickle_load(path)
    if outcome == "error":
        return failed_job(overrides, str(value))
    found: JobReturn = value
    return found
