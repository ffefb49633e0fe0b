"""A sweep (`-m`) as one parent run: a Hydra callback, which the tracking group of conf names."""

import logging
import os
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from trivium.stages.stopping import on_stop
from trivium.tracking import names

if TYPE_CHECKING:
    from trivium.tracking.writer import RunWriter

log = logging.getLogger(__name__)

STOP_SECONDS = 1.0
"""How long the tracking store may take to hear that a sweep was stopped."""


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
        from trivium.tracking.run import PARENT, start_run

        overrides = [str(item) for item in config.hydra.overrides.task]
        tags = {names.KIND: names.Kind.SWEEP, names.SWEEP_METRIC: self.metric}
        params = {names.OVERRIDES: " ".join(overrides)}
        swept = [item.partition("=")[0] for item in overrides if "," in item]
        name = f"sweep {' '.join(swept or overrides)}".strip()
        writer = self._writer = start_run(name, tags, params, experiment=self.experiment)
        on_stop(lambda: writer.finish("KILLED", timeout=STOP_SECONDS))
        if writer.run_id:
            os.environ[PARENT] = writer.run_id

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:  # noqa: ARG002
        """Write the table of the trials to the parent run and to the terminal."""
        from trivium.tracking.query import Trials
        from trivium.tracking.run import PARENT

        os.environ.pop(PARENT, None)
        if self._writer is None:
            return
        with self._writer as writer:
            if writer.run_id is None:
                log.warning("the tracking store did not answer: this sweep has no summary")
                return
            trials = Trials.of(writer.run_id, self.metric, maximise=self.maximise)
            table = trials.markdown()
            print(table)
            writer.log_text(table, "summary.md")
            writer.log_metrics(trials.metrics(), step=0)
            writer.describe(table)
