"""Optimisers by config, and which parameters are decayed."""

from collections.abc import Callable, Iterable
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
        if not parameter.requires_grad:
            continue
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
