"""A launcher on Ray, which `make env-ray` installs: on this machine alone, or on a cluster."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.utils import JobReturn
from omegaconf import OmegaConf

from hydra_plugins.trivium_launchers._job import Task, begin, ended
from hydra_plugins.trivium_launchers.local import BasicLauncher, num_cores
from trivium.stages.multirun import failed_job
from trivium.stages.stopping import Owner, handle_signals

OWN = {"_node_ip_address": "127.0.0.1"}
"""Of a Ray that ends with the multirun: nobody else can reach it."""


class RayLauncher(BasicLauncher):
    """Several jobs at once in Ray's workers."""

    def __init__(self, ray: Mapping[str, Any]) -> None:
        """Settings of the launcher.

        Args:
            ray: `init` and `remote`, the arguments of `ray.init` and of a job's `ray.remote`.
        """
        self.settings = OmegaConf.to_container(OmegaConf.create({**ray}), resolve=True)

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
        begin(self.config, job_overrides, initial_job_idx)
        settings: Any = self.settings
        if not ray.is_initialized():
            own = {} if settings["init"].get("address") else OWN | {"num_cpus": num_cores()}
            ray.init(**{**own, **settings["init"]})
            handle_signals()  # Ray's own would end this process with code 15
        try:
            return self.collect(ray, job_overrides, initial_job_idx, settings["remote"])
        finally:
            ray.shutdown()

    def collect(
        self, ray: Any, jobs: Sequence[Sequence[str]], first: int, settings: Mapping[str, Any]
    ) -> list[JobReturn]:
        """The jobs' results, in order."""
        owner = None if self.settings["init"].get("address") else Owner.this()  # type: ignore[index, call-overload, union-attr]
        task = Task(self.hydra_context, self.config, self.task_function, owner)
        remote = ray.remote(**settings)(_run)
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
