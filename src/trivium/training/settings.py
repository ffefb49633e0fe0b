"""The settings of a trainer and of its monitors, as the yaml files name them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch


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
class CollapseSettings:
    """When a run counts as wrong; see `Sentinels`."""

    patience: float
    tolerance: float
    lowest_rank: float
    action: Literal["stop", "warn"]


@dataclass(frozen=True, kw_only=True)
class MonitorSettings:
    """What watches a run; see `OnlineProbe`, `Sentinels` and `held_out_loss`."""

    num_items: int
    num_glances: int
    pictures: bool
    sentinels: CollapseSettings
    num_held_out: int = 0


def trainer_settings(values: Mapping[str, Any]) -> TrainerSettings:
    """Trainer settings out of a yaml's plain values; `auto` precision becomes the chosen one."""
    precision = values["precision"]
    if precision == "auto":
        precision = "bf16-mixed" if computes_in_bf16(values["accelerator"]) else "32-true"
    return TrainerSettings(**{**values, "precision": precision})


def monitor_settings(values: Mapping[str, Any]) -> MonitorSettings:
    """Monitor settings out of a yaml's plain values."""
    return MonitorSettings(**{**values, "sentinels": CollapseSettings(**values["sentinels"])})


def computes_in_bf16(accelerator: str) -> bool:
    """Whether the device multiplies bf16 matrices in hardware."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
