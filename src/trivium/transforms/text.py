"""Views of texts: spans, deletion of tokens, and how they are chained."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Bool, Int64
from torch import Tensor, nn
from typing_extensions import override

from trivium.transforms.base import ViewList, check_interval, check_probability, uniform
from trivium.types import PAD, View


def is_bound(valid: Bool[Tensor, "batch token"]) -> Bool[Tensor, "batch token"]:
    """True at the first and the last valid token of each text (valid tokens come first)."""
    indices = torch.arange(valid.shape[1], device=valid.device)
    return (indices == 0) | (indices == valid.sum(1, keepdim=True) - 1)


class TextOp(nn.Module, ABC):
    """An augmentation of a batch of texts: it says which tokens stay, in their order."""

    @abstractmethod
    def keep(
        self, valid: Bool[Tensor, "batch token"], generator: torch.Generator | None = None
    ) -> Bool[Tensor, "batch token"]:
        """True where a token stays; the first and the last valid one of a text always do."""


class TextPipeline(nn.Module):
    """Operations one after another: one view of a batch of texts.

    What stays moves together; the batch keeps its padded length, whatever was drawn.

    Args:
        ops: Operations in order; none leaves the texts as they are.
    """

    def __init__(self, ops: Sequence[TextOp]) -> None:
        super().__init__()
        self.ops = nn.ModuleList(ops)

    def forward(
        self,
        ids: Int64[Tensor, "batch token"],
        valid: Bool[Tensor, "batch token"],
        generator: torch.Generator | None = None,
    ) -> View:
        """Make one view."""
        ops: Iterable[nn.Module] = self.ops
        for op in ops:
            assert isinstance(op, TextOp)
            stays = op.keep(valid, generator) & valid
            order = (~stays).to(torch.uint8).argsort(dim=1, stable=True)
            valid = stays.gather(1, order)
            ids = ids.gather(1, order).masked_fill(~valid, PAD)
        return View(ids, valid)


class TextViews(ViewList):
    """Views of texts.

    Two equal pipelines are two *dropout views*: the ids are the same, the encoder's dropout
    differs (SimCSE, 2104.08821, section 3).
    """

    def forward(
        self,
        ids: Int64[Tensor, "batch token"],
        generator: torch.Generator | None = None,
        valid: Bool[Tensor, "batch token"] | None = None,
    ) -> tuple[View, ...]:
        """Make every view of a batch, in order; without `valid` every token counts."""
        if valid is None:
            valid = torch.ones_like(ids, dtype=torch.bool)
        return tuple(view(ids, valid, generator) for view in self.views)


class SpanCrop(TextOp):
    """Keep one random span of consecutive tokens (COCO-LM, 2102.08473, section 3.3).

    Its length is a uniform share in `scale` of the tokens between begin and end, rounded, one at
    least; its place is uniform. Begin and end of the text stay around it.

    Raises:
        ValueError: `scale` is no range in [0, 1].
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
        indices = torch.arange(length, device=valid.device)
        return ((indices >= first) & (indices < first + size)) | is_bound(valid)


class TokenDeletion(TextOp):
    """Delete each token with probability `p`, independently (CLEAR, 2012.15466, section 3.2).

    The first and the last valid token of a text (its begin and end) stay.

    Raises:
        ValueError: `p` is no probability.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = check_probability("p", p)

    @override
    def keep(
        self, valid: Bool[Tensor, "batch token"], generator: torch.Generator | None = None
    ) -> Bool[Tensor, "batch token"]:
        """Draw what stays."""
        drawn = uniform(tuple(valid.shape), 0.0, 1.0, generator).to(valid.device) >= self.p
        return drawn | is_bound(valid)
