"""Recipes for texts: which views of a batch of ids an objective receives."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from jaxtyping import Bool, Int64
from torch import Tensor, nn

from trivium.types import PAD, Column, View


class TextOp(nn.Module, ABC):
    """An augmentation of a batch of texts: it says which tokens stay, in their order."""

    @abstractmethod
    def keep(
        self, valid: Bool[Tensor, "batch token"], generator: torch.Generator | None = None
    ) -> Bool[Tensor, "batch token"]:
        """True where a token stays; the first and the last valid one of a text always do."""


class TextPipeline(nn.Module):
    """Operations one after another: one view of a batch of texts.

    What stays moves together; the batch keeps its padded length, so that the price of a step
    does not depend on what was drawn.

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


class TextRecipe(nn.Module):
    """The views that one objective receives of each batch of texts.

    Two equal pipelines are two *dropout views*: the ids are the same, and what differs is what
    the encoder's dropout hides of them (SimCSE, 2104.08821, section 3).

    Args:
        views: One pipeline per view.

    Raises:
        ValueError: there is no view.
    """

    column: ClassVar[Column | None] = None
    """Which column of a store the views are made from: of audio only."""
    gives: ClassVar[Column | None] = None
    """Which of the two the views are: of audio only."""

    def __init__(self, views: Sequence[TextPipeline]) -> None:
        super().__init__()
        if len(views) == 0:
            raise ValueError("a recipe needs at least one view")
        self.views = nn.ModuleList(views)

    @property
    def num_views(self) -> int:
        """Views that the recipe makes of each sample."""
        return len(self.views)

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
