"""A launcher on Ray, which `make env-ray` installs: on this machine alone, or on a cluster."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, cast

from hydra.core.utils import JobReturn
from omegaconf import OmegaConf

from hydra_plugins.trivium_launchers._job import Task, begin
from hydra_plugins.trivium_launchers.local import BasicLauncher
from trivium.hardware import num_cores
from trivium.stages.multirun import ended, failed_job
from trivium.stages.stopping import Owner, handle_signals

OWN = {"_node_ip_address": "127.0.0.1"}
"""Of a Ray that ends with the multirun: nobody else can reach it."""


class RayLauncher(BasicLauncher):
    """Several jobs at once in Ray's workers."""

    def __init__(self, ray: Mapping[str, Any]) -> None:
        """Take the arguments of `ray.init` (`init`) and of a job's `ray.remote` (`remote`)."""
        settings = OmegaConf.to_container(OmegaConf.create({**ray}), resolve=True)
        self.settings = cast(dict[str, dict[str, Any]], settings)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs; a failed one is a result like the others.

        Raises:
            ModuleNotFoundError: if Ray is not installed.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "launcher=ray needs Ray: `make env-ray` makes .venv-ray, whose python has it."
            ) from error
        parts, init = begin(self, job_overrides, initial_job_idx), self.settings["init"]
        on_cluster = bool(init.get("address"))
        if not ray.is_initialized():
            own = {} if on_cluster else OWN | {"num_cpus": num_cores()}
            ray.init(**{**own, **init})
            handle_signals()  # Ray's own would end this process with code 15
        try:
            task = Task(parts, None if on_cluster else Owner.this())
            return self.collect(ray, task, job_overrides, initial_job_idx)
        finally:
            ray.shutdown()

    def collect(
        self, ray: Any, task: Task, jobs: Sequence[Sequence[str]], first: int
    ) -> list[JobReturn]:
        """The jobs' results, in order."""
        remote = ray.remote(**self.settings["remote"])(_run)
        shared = ray.put(task)
        waiting = {
            remote.remote(shared, first + index, [*words]): index
            for index, words in enumerate(jobs)
        }
        found: dict[int, JobReturn] = {}
        while waiting:
            ready, _ = ray.wait([*waiting])
            index = waiting.pop(ready[0])
            try:
                result = ray.get(ready[0])
            except Exception as error:
                result = failed_job(jobs[index], f"its process was lost: {error}")
            found[index] = ended(result)
        return [found[index] for index in range(len(jobs))]


def _run(task: Task, number: int, overrides: Sequence[str]) -> JobReturn:
    return task(number, overrides)
