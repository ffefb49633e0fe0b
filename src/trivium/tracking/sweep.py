"""A sweep as one parent run: a Hydra callback, and the summary of what its trials found."""

import logging
import os
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from trivium.tracking import names
from trivium.tracking.run import PARENT

if TYPE_CHECKING:
    from trivium.tracking.writer import RunWriter

log = logging.getLogger(__name__)

PAGE = 1000


class SweepParent(Callback):
    """Nests the runs of `-m` under one parent run and summarises them at the end.

    The parent's id reaches the trials through the environment (`TRIVIUM_PARENT_RUN`), which
    joblib's workers inherit, and `start_run` reads it there.
    """

    def __init__(
        self, experiment: str, metric: str = names.SELECTION_ACCURACY, maximise: bool = True
    ) -> None:
        """Settings of the callback.

        Args:
            experiment: the MLflow experiment of the parent.
            metric: the metric that trials are compared by.
            maximise: whether more of it is better.
        """
        self.metric = metric
        self.experiment = experiment
        self.maximise = maximise
        self._writer: RunWriter | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the writer: joblib sends Hydra's callbacks to its workers."""
        return self.__dict__ | {"_writer": None}

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Create the parent run and tell the trials about it; the runs of a grid have none."""
        if config.get("grid"):
            return
        from trivium.tracking.run import start_run

        overrides = [str(item) for item in config.hydra.overrides.task]
        tags = {names.KIND: names.Kind.SWEEP, names.SWEEP_METRIC: self.metric}
        params = {names.OVERRIDES: " ".join(overrides)}
        swept = [item.partition("=")[0] for item in overrides if "," in item]
        name = f"sweep {' '.join(swept or overrides)}".strip()
        self._writer = start_run(name, tags, params, experiment=self.experiment)
        if self._writer.run_id:
            os.environ[PARENT] = self._writer.run_id

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:  # noqa: ARG002
        """Write the table of the trials to the parent run and to the terminal."""
        os.environ.pop(PARENT, None)
        if self._writer is None:
            return
        with self._writer as writer:
            if writer.run_id is None:
                log.warning("the tracking store did not answer: this sweep has no summary")
                return
            table = Table(writer.run_id, self.metric, self.maximise)
            table.show()
            writer.log_text(table.markdown(), "summary.md")
            writer.log_metrics(table.metrics(), step=0)
            writer.describe(table.markdown())


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A markdown table, which the UI renders."""
    lines = [header, ["-"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


class Table:
    """The trials of a sweep: the parameters in which they differ and the metric, best first."""

    def __init__(self, parent: str, metric: str, maximise: bool = True) -> None:
        """Read the trials from the tracking store.

        Args:
            parent: the parent run's id.
            metric: the column that sorts; trials without it come last.
            maximise: whether more is better.
        """
        from trivium.tracking.client import connect

        client = connect()
        runs = client.search_runs(
            [item.experiment_id for item in client.search_experiments()],
            names.tagged(names.PARENT_RUN, parent),
            max_results=PAGE,
        )
        sign = -1 if maximise else 1
        self.metric = metric
        self.runs = sorted(runs, key=lambda run: sign * run.data.metrics.get(metric, -sign * 1e300))
        keys = sorted({key for run in runs for key in run.data.params})
        self.keys = [k for k in keys if len({run.data.params.get(k) for run in runs}) > 1]

    def header(self) -> list[str]:
        """Names of the columns."""
        return ["run", *self.keys, "status", self.metric]

    def rows(self) -> list[list[str]]:
        """One row per trial, best first."""
        return [
            [
                run.info.run_name,
                *(run.data.params.get(key, "") for key in self.keys),
                run.info.status,
                f"{run.data.metrics[self.metric]:.4f}" if self.metric in run.data.metrics else "",
            ]
            for run in self.runs
        ]

    def markdown(self) -> str:
        """The table in markdown, which the UI renders."""
        return markdown(self.header(), self.rows())

    def metrics(self) -> dict[str, float]:
        """The numbers of trials, and the best value if there is one."""
        finished = sum(run.info.status == "FINISHED" for run in self.runs)
        numbers = {names.NUM_TRIALS: float(len(self.runs)), names.NUM_FINISHED: float(finished)}
        if self.runs and self.metric in self.runs[0].data.metrics:
            numbers[names.best(self.metric)] = self.runs[0].data.metrics[self.metric]
        return numbers

    def show(self) -> None:
        """Print the table."""
        from rich.console import Console
        from rich.table import Table as Grid

        grid = Grid(*self.header(), title="sweep")
        for row in self.rows():
            grid.add_row(*row)
        Console().print(grid)
