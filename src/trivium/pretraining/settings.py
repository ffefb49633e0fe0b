"""The settings of a trainer and of its monitors, as the yaml files name them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """How a run is executed.

    `batch_size` counts samples over all devices; `gradient_clip` is the largest gradient norm;
    `precision` is Lightning's name, or `auto` for bf16-mixed where the device computes in it.
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

    def chosen_precision(self) -> str:
        """Lightning's name of the precision that will be used."""
        if self.precision != "auto":
            return self.precision
        return "bf16-mixed" if computes_in_bf16(self.accelerator) else "32-true"


@dataclass(frozen=True, kw_only=True)
class SentinelSettings:
    """When a run counts as wrong; see `Sentinels`."""

    patience: float
    tolerance: float
    lowest_rank: float
    action: Literal["stop", "warn"]


@dataclass(frozen=True, kw_only=True)
class MonitorSettings:
    """What watches a run; see `OnlineProbe` and `Sentinels`."""

    num_items: int
    num_glances: int
    pictures: bool
    sentinels: SentinelSettings


def monitor_settings(values: Mapping[str, Any]) -> MonitorSettings:
    """Monitor settings out of a yaml's plain values."""
    return MonitorSettings(**{**values, "sentinels": SentinelSettings(**values["sentinels"])})


def computes_in_bf16(accelerator: str) -> bool:
    """Whether the device multiplies bf16 matrices in hardware."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
