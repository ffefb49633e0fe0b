"""Learning rate factors as pure functions of a run's progress."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class WarmupCosine:
    """Linear warm-up, then a half cosine down to `floor` (SGDR without restarts, 1608.03983).

    `warmup` is the share of the run that warms up, in [0, 1); `floor` the factor at the end.
    """

    warmup: float = 0.05
    floor: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.warmup < 1:
            raise ValueError(f"schedule.warmup is a share of the run in [0, 1); got {self.warmup}.")
        if not 0 <= self.floor <= 1:
            raise ValueError(f"schedule.floor is a factor in [0, 1]; got {self.floor}.")

    def __call__(self, progress: float) -> float:
        """The factor at `progress` in [0, 1]."""
        if progress < self.warmup:
            return progress / self.warmup
        share = (min(progress, 1.0) - self.warmup) / (1 - self.warmup)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * share))


@dataclass(frozen=True, kw_only=True)
class Constant:
    """Linear warm-up, then the full learning rate to the end."""

    warmup: float = 0.0

    def __call__(self, progress: float) -> float:
        """The factor at `progress` in [0, 1]."""
        return progress / self.warmup if progress < self.warmup else 1.0
