"""Stops a run whose loss is not finite or whose features have collapsed."""

from typing import Any, Literal

import pytorch_lightning as lightning

from trivium.training.callbacks.metric_logger import MetricLogger
from trivium.training.callbacks.online_probe import OnlineProbe
from trivium.training.module import Pretraining


class CollapseError(RuntimeError):
    """A run learnt nothing, or its features collapsed."""


class CollapseMonitor(lightning.Callback):
    """Watches for gradients that reach no parameter, a loss stuck at its plateau, collapsed rank.

    `patience` is the share of the run before plateau and rank are judged; `tolerance` how close
    (relative) to the plateau a loss counts as stuck; `lowest_rank` the RankMe (2210.02885) below
    which features count as collapsed. `action` is what happens then: `stop` raises, `warn` prints.
    A missing gradient always stops.
    """

    def __init__(
        self,
        *,
        recorder: MetricLogger,
        probe: OnlineProbe | None,
        patience: float,
        tolerance: float,
        lowest_rank: float,
        action: Literal["stop", "warn"],
    ) -> None:
        self.recorder = recorder
        self.probe = probe
        self.patience = patience
        self.tolerance = tolerance
        self.lowest_rank = lowest_rank
        self.action = action
        self.alarms: list[str] = []

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, optimizer: Any
    ) -> None:
        """After the first backward pass, every trainable parameter must have a gradient.

        Except what the encoder calls optional.
        """
        assert isinstance(pl_module, Pretraining)
        if trainer.global_step:
            return
        optional = tuple(f"encoder.{one}" for one in pl_module.objective.encoder.optional)
        lost = [
            name
            for name, parameter in pl_module.objective.named_parameters()
            if parameter.requires_grad and parameter.grad is None and not name.startswith(optional)
        ]
        if lost:
            raise CollapseError(
                f"No gradient reaches {len(lost)} parameters of "
                f"{type(pl_module.objective).__name__}: {', '.join(lost[:5])}. "
                "Freeze what must not learn, or connect it to the loss."
            )

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Judge plateau and rank whenever something was recorded after the patience."""
        assert isinstance(pl_module, Pretraining)
        steps = self.recorder.steps
        if not steps or steps[-1] != trainer.global_step or pl_module.progress < self.patience:
            return
        size = self.recorder.samples_per_step
        plateau = pl_module.objective.plateau(size)
        recent = self.recorder.terms["loss"][-5:]
        if plateau is not None and len(recent) == 5:
            mean = sum(recent) / len(recent)
            if abs(mean - plateau) <= self.tolerance * abs(plateau):
                self.alarm(
                    f"The loss is stuck at {mean:.4f}, the plateau {plateau:.4f} of an objective "
                    f"that learns nothing (step {steps[-1]}): change optimizer.lr or the "
                    "temperature."
                )
        ranks = self.probe.history.get("rankme", []) if self.probe else []
        if len(ranks) > 1 and ranks[-1] < self.lowest_rank:
            self.alarm(
                f"The features have collapsed: RankMe is {ranks[-1]:.2f} (it began at "
                f"{ranks[0]:.2f}, collapse is below {self.lowest_rank})."
            )

    def alarm(self, message: str) -> None:
        """Stop, or say it once."""
        if self.action == "stop":
            raise CollapseError(message)
        if not self.alarms:
            print(f"WARNING: {message}", flush=True)
        self.alarms.append(message)
