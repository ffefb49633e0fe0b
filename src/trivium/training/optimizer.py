"""Parameter groups, layer-wise decay, and learning rates as functions of a run's progress."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import Optimizer

OptimiserFactory = Callable[[Iterable[dict[str, Any]]], Optimizer]


def decay_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two parameter groups: matrices are decayed; biases, gains, positions and tokens are not.

    A parameter is decayed if it has two axes or more of size above one, and is not a learnt
    position or token (their names say so). Frozen parameters are left out.

    Raises:
        ValueError: if nothing is trainable.
    """
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            leaf = name.rsplit(".", 1)[-1]
            vector = sum(size > 1 for size in parameter.shape) < 2
            exempt = vector or "position" in leaf or "token" in leaf
            (kept if exempt else decayed).append(parameter)
    if not decayed and not kept:
        raise ValueError(
            f"{type(module).__name__} has no trainable parameter: nothing to pretrain."
        )
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


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
class Constant(WarmupCosine):
    """Linear warm-up, then the full learning rate to the end: a cosine that falls by nothing."""

    warmup: float = 0.0
    floor: float = 1.0


ENCODER = "encoder."
BLOCK = re.compile(r"\.(?:blocks|layers?)\.?(\d+)\.")
"""How names of blocks look here and in timm, torchvision and transformers."""
SCALE = "scale"
"""The key of a parameter group that its learning rate is to be multiplied by."""


def layers(objective: nn.Module) -> dict[str, int]:
    """The layer of each parameter by its name: the stem is 0, each block one more, then the head.

    What an encoder holds before its first block counts as stem (patches, tokens, positions), what
    it holds behind the last one goes with the head, as in BEiT. An encoder without blocks is one
    layer.
    """
    found: dict[str, int] = {}
    blocks: dict[str, int] = {}
    behind: list[str] = []
    for name, _ in objective.named_parameters():
        match = BLOCK.search(name) if name.startswith(ENCODER) else None
        if match:
            found[name] = blocks.setdefault(match[1], len(blocks) + 1)
        elif name.startswith(ENCODER) and not blocks:
            found[name] = 0
        else:
            behind.append(name)
    return found | dict.fromkeys(behind, len(blocks) + 1)


def layer_groups(
    objective: nn.Module, weight_decay: float, layer_decay: float
) -> list[dict[str, Any]]:
    """Parameter groups of `decay_groups`, divided by layer; each says its `scale`.

    Of L blocks the head's scale is 1, that of block l (from 1) decay^(L + 1 - l), the stem's
    decay^(L + 1): ELECTRA (2003.10555, appendix B), BEiT (2106.08254, section 3.1), MAE
    (2111.06377, appendix A.1).

    Raises:
        ValueError: as `decay_groups`.
    """
    numbers = layers(objective)
    top = max(numbers.values())
    layer_of = {id(one): numbers[name] for name, one in objective.named_parameters()}
    groups = []
    for group in decay_groups(objective, weight_decay):
        by_layer: dict[int, list[nn.Parameter]] = defaultdict(list)
        for parameter in group["params"]:
            by_layer[layer_of[id(parameter)]].append(parameter)
        groups += [
            {**group, "params": members, SCALE: layer_decay ** (top - number)}
            for number, members in by_layer.items()
        ]
    return groups
