"""Hydra's plugin point for sweepers: Hydra's own, which lets no failed job stop the others."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from trivium.stages.multirun import is_failed, report_failures


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

    def __init__(self, launcher: Any) -> None:
        self.launcher = launcher
        self.returns: list[JobReturn] = []

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> list[JobReturn]:
        """Launch a batch."""
        found = self.launcher.launch(job_overrides, initial_job_idx=initial_job_idx)
        self.returns.extend(found)
        done = {"status": JobStatus.COMPLETED, "_return_value": None}
        return [dataclasses.replace(one, **done) if is_failed(one) else one for one in found]
