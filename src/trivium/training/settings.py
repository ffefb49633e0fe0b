"""What a pretraining is made of, and the settings of its trainer and monitors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trivium.training.budget import Budget
from trivium.training.optimizer import OptimiserFactory
from trivium.types import Objective, View

ViewsRecipe = Callable[..., tuple[View, ...]]
"""(values, generator), and for sequences which of their places hold data, to views."""


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """How a run is executed.

    `batch_size` counts samples over all devices; `gradient_clip` is the largest gradient norm;
    `precision` is Lightning's name.

    Raises:
        ValueError: if more than one device is asked for.
    """

    batch_size: int
    gradient_clip: float | None
    precision: str
    accelerator: str
    devices: int
    strategy: str
    num_threads: int | None
    checkpoint_seconds: float
    checkpoint_steps: int | None

    def __post_init__(self) -> None:
        if self.devices != 1:
            raise ValueError(
                f"trainer.devices is {self.devices}: a run uses one device so far; start several "
                "runs at once instead (-m launcher=joblib, or make repro)."
            )


@dataclass(frozen=True, kw_only=True)
class MonitorSettings:
    """What is measured during a run.

    See `OnlineProbe`, `CollapseMonitor` (its settings are `sentinels`) and `validation_loss` (of
    `num_held_out` batches).
    """

    num_items: int
    num_glances: int
    pictures: bool
    sentinels: Mapping[str, Any]
    num_held_out: int = 0


@dataclass(frozen=True, kw_only=True)
class PretrainingRun:
    """Everything that one pretraining is made of.

    `objective` holds the encoder; `views` makes its views; `schedule` maps progress to a learning
    rate factor; `task` names the labels, None on unlabelled data; `facts` are written beside the
    encoder; `config` is the whole resolved configuration, for the record; `data_fraction` is the
    share of the train split that is learnt from.
    """

    objective: Objective
    views: ViewsRecipe
    optimiser: OptimiserFactory
    schedule: Callable[[float], float]
    weight_decay: float
    budget: Budget
    trainer: TrainerSettings
    monitor: MonitorSettings
    seed: int
    task: str | None
    facts: Mapping[str, Any]
    config: Mapping[str, Any]
    data_fraction: float = 1.0
