"""Hydra's plugin point for sweepers: a failed job stops no other, and a named grid is a sweep."""

import dataclasses
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from trivium.stages.multirun import is_failed, report_failures

NOT_OF_A_JOB = ("grid", "launcher", "hydra")
"""Overrides of the multirun itself: their first key."""


class PlainSweeper(BasicSweeper):
    """Runs what lists with commas multiply to; the failed jobs are named at the end."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Make the launcher that the config names."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.launcher: Any = Collector(self.launcher)

    def sweep(self, arguments: list[str]) -> Any:
        """Launch all jobs."""
        super().sweep(arguments)
        report_failures(self.launcher.returns)
        return self.launcher.returns


class Collector:
    """A launcher whose failed jobs look finished to Hydra's sweeper, which stops at the first."""

    def __init__(self, launcher: Launcher | None) -> None:
        assert launcher is not None
        self.launcher = launcher
        self.returns: list[JobReturn] = []

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> list[JobReturn]:
        """Launch a batch."""
        found = self.launcher.launch(job_overrides, initial_job_idx=initial_job_idx)
        self.returns.extend(found)
        done: dict[str, Any] = {"status": JobStatus.COMPLETED, "_return_value": None}
        return [dataclasses.replace(one, **done) if is_failed(one) else one for one in found]


class GridSweeper(BasicSweeper):
    """Runs the jobs that a stage has of a grid, without those that are finished already.

    Overrides beside the grid hold for every job; lists with commas multiply the jobs.
    """

    def __init__(self) -> None:
        super().__init__(max_batch_size=None)

    def sweep(self, arguments: list[str]) -> None:
        """Launch what is not finished; a job that failed makes the exit code 1."""
        from trivium.config import plain
        from trivium.grid import Grid
        from trivium.stages.multirun import end, plan

        assert self.config is not None
        assert self.launcher is not None
        hydra, values = self.config.hydra, plain(self.config.grid)
        stage, grid = str(hydra.job.config_name), Grid(values)
        jobs = plan(grid, stage, multiplied(arguments))
        todo = [job for job in jobs if not job.done and not job.blocked]
        returns: Sequence[JobReturn] = []
        if todo:
            os.environ["TRIVIUM_PROGRESS"] = "lines"
            Path(str(hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
            returns = self.launcher.launch([job.overrides for job in todo], initial_job_idx=0)
        failed = [job.name for job, one in zip(todo, returns, strict=True) if is_failed(one)]
        end(grid, stage, jobs, failed, values.get("index"))


def multiplied(arguments: Sequence[str]) -> list[list[str]]:
    """The overrides of each copy of the grid: lists with commas multiply it.

    Raises:
        ValueError: an override sweeps over something that has no end, such as an interval.
    """
    choices = []
    for override in OverridesParser.create().parse_overrides(list(arguments)):
        if (override.key_or_group or "").split(".")[0] in NOT_OF_A_JOB:
            continue
        if override.is_sweep_override() and not override.is_discrete_sweep():
            raise ValueError(f"{override.input_line}: a grid multiplies by lists and ranges only")
        if override.is_discrete_sweep():
            key = override.get_key_element()
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            choices.append([str(override.input_line)])
    return [list(words) for words in itertools.product(*choices)]
