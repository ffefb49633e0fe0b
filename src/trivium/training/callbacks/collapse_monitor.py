"""Stops a run whose loss is not finite or whose features have collapsed."""

from statistics import fmean
from typing import Any, Literal

import pytorch_lightning as lightning

from trivium.training.callbacks.metric_logger import MetricLogger
from trivium.training.callbacks.online_probe import OnlineProbe
from trivium.training.module import TrainingModule

NUM_RECENT = 5
"""Recorded losses whose mean is compared with the plateau."""


class CollapseError(RuntimeError):
    """A run learnt nothing, or its features collapsed."""


class CollapseMonitor(lightning.Callback):
    """Looks for gradients that reach no parameter, a loss stuck at its plateau, collapsed rank.

    `patience` is the share of the run before plateau and rank are judged; `tolerance` how close
    (relative) to the plateau a loss counts as stuck; `lowest_rank` the RankMe (2210.02885) below
    which features count as collapsed. `action` is what happens then: `stop` raises, `warn` prints.
    A missing gradient always stops.
    """

    def __init__(
        self,
        *,
        logger: MetricLogger,
        probe: OnlineProbe,
        patience: float,
        tolerance: float,
        lowest_rank: float,
        action: Literal["stop", "warn"],
    ) -> None:
        self.logger = logger
        self.probe = probe
        self.patience = patience
        self.tolerance = tolerance
        self.lowest_rank = lowest_rank
        self.action = action
        self.has_warned = False

    def on_before_optimizer_step(  # type: ignore[override]
        self, trainer: lightning.Trainer, module: TrainingModule, *_: Any
    ) -> None:
        """After the first backward pass, every trainable parameter must have a gradient.

        Except what the encoder calls optional.
        """
        if trainer.global_step:
            return
        optional = tuple(f"encoder.{one}" for one in module.objective.encoder.optional)
        lost = [
            name
            for name, parameter in module.objective.named_parameters()
            if parameter.requires_grad and parameter.grad is None and not name.startswith(optional)
        ]
        if lost:
            raise CollapseError(
                f"No gradient reaches {len(lost)} parameters of "
                f"{type(module.objective).__name__}: {', '.join(lost[:5])}. "
                "Freeze what must not learn, or connect it to the loss."
            )

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: lightning.Trainer, module: TrainingModule, *_: Any
    ) -> None:
        """Judge plateau and rank whenever something was recorded after the patience."""
        steps = self.logger.steps
        if not steps or steps[-1] != trainer.global_step or module.progress < self.patience:
            return
        plateau = module.objective.plateau(self.logger.samples_per_step)
        recent = self.logger.terms["loss"][-NUM_RECENT:]
        if plateau is not None and len(recent) == NUM_RECENT:
            mean = fmean(recent)
            if abs(mean - plateau) <= self.tolerance * abs(plateau):
                self._alarm(
                    f"The loss is stuck at {mean:.4f}, the plateau {plateau:.4f} of an objective "
                    f"that learns nothing (step {steps[-1]}): change optimizer.lr or the "
                    "temperature."
                )
        ranks = self.probe.history.get("rankme", [])
        if len(ranks) > 1 and ranks[-1] < self.lowest_rank:
            self._alarm(
                f"The features have collapsed: RankMe is {ranks[-1]:.2f} (it began at "
                f"{ranks[0]:.2f}, collapse is below {self.lowest_rank})."
            )

    def _alarm(self, message: str) -> None:
        """Stop, or say it once."""
        if self.action == "stop":
            raise CollapseError(message)
        if not self.has_warned:
            print(f"WARNING: {message}", flush=True)
        self.has_warned = True
