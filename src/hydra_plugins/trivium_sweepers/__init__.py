"""Hydra's plugin point for sweepers: a named grid as a multirun."""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

NOT_OF_A_JOB = ("grid", "launcher", "hydra")
"""Overrides of the multirun itself: their first key."""


class GridSweeper(Sweeper):
    """Runs the jobs that a stage has of a grid, those left that are finished already.

    Overrides beside the grid hold for every job; lists with commas multiply the jobs.
    """

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Make the launcher that the config names."""
        from hydra.core.plugins import Plugins

        self.config = config
        self.hydra_context = hydra_context
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Launch what is not finished; a job that failed makes the exit code 1."""
        from trivium.compose import as_mapping
        from trivium.grid import Grid
        from trivium.stages.multirun import end, plan

        config = self.config
        assert config is not None
        stage, values = str(config.hydra.job.config_name), as_mapping(config.grid)
        grid = Grid(values)
        jobs = plan(grid, stage, multiplied(arguments))
        todo = [job for job in jobs if not job.done and not job.blocked]
        returns: Sequence[JobReturn] = []
        if todo:
            os.environ["TRIVIUM_PROGRESS"] = "lines"
            Path(str(config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
            returns = self.launcher.launch([job.overrides for job in todo], initial_job_idx=0)
        failed = [
            job.name
            for job, found in zip(todo, returns, strict=True)
            if found.status != JobStatus.COMPLETED
        ]
        end(grid, stage, jobs, failed, values.get("index"))
        return None


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
