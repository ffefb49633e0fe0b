"""Keeping one span of a text."""

import torch
from jaxtyping import Bool
from torch import Tensor
from typing_extensions import override

from trivium.views.draw import check_interval, uniform
from trivium.views.text.deletion import is_bound
from trivium.views.text.recipe import TextOp


class SpanCrop(TextOp):
    """Keep one random span of consecutive tokens (COCO-LM, 2102.08473, section 3.3).

    Its length is a uniform share in `scale` of the tokens between begin and end, rounded, one at
    least; its place is uniform. Begin and end of the text stay around it.

    Args:
        scale: Smallest and largest share, in [0, 1].

    Raises:
        ValueError: `scale` is no such range.
    """

    def __init__(self, scale: tuple[float, float]) -> None:
        super().__init__()
        self.scale = check_interval("scale", scale, 0.0, 1.0)

    @override
    def keep(
        self, valid: Bool[Tensor, "batch token"], generator: torch.Generator | None = None
    ) -> Bool[Tensor, "batch token"]:
        """Draw the spans."""
        batch, length = valid.shape
        share = uniform((batch, 1), *self.scale, generator).to(valid.device)
        start = uniform((batch, 1), 0.0, 1.0, generator).to(valid.device)
        inner = (valid.sum(1, keepdim=True) - 2).clamp(min=0)
        size = (share * inner).round().clamp(min=1)
        first = 1 + (start * (inner - size + 1)).floor().clamp(min=0)
        places = torch.arange(length, device=valid.device)
        return ((places >= first) & (places < first + size)) | is_bound(valid)
