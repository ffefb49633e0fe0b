"""Learning rates that fall from the head to the stem, layer by layer."""

import re
from collections import defaultdict
from typing import Any

from torch import nn

from trivium.pretraining.optimisers import decay_groups

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
