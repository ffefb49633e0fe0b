"""What is done whenever the online probe has looked."""

from abc import ABC, abstractmethod
from typing import Any

import pytorch_lightning as lightning

from trivium.pretraining.callbacks.online_probe import OnlineProbe
from trivium.pretraining.module import Pretraining


class AfterLook(lightning.Callback, ABC):
    """Acts once after each look of the online probe; place it behind the probe."""

    def __init__(self, probe: OnlineProbe) -> None:
        self.probe = probe
        self.seen = -1

    @abstractmethod
    def act(self, pl_module: Pretraining, step: int) -> None:
        """What to do at a step at which the probe has looked."""

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Act on the untrained state."""
        self._act_if_looked(trainer, pl_module)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Act if the probe has just looked."""
        self._act_if_looked(trainer, pl_module)

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Act where the clock ended the run."""
        self._act_if_looked(trainer, pl_module)

    def _act_if_looked(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        steps = self.probe.history["step"]
        looked = bool(steps) and steps[-1] == trainer.global_step != self.seen
        if not trainer.is_global_zero or not looked:
            return
        assert isinstance(pl_module, Pretraining)
        self.seen = trainer.global_step
        self.act(pl_module, self.seen)
