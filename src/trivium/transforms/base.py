"""What every transform is: random parameters per sample, and an operation that obeys them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from trivium.types import Column

Shape = tuple[int, ...]
"""Sizes of an image batch: batch, channel, height, width."""

P = TypeVar("P", bound=tuple[Any, ...])


class NoParameters(NamedTuple):
    """Parameters of an operation that has no randomness."""


def rows(parameters: P, index: slice | Tensor) -> P:
    """Parameters of some samples only: every field is indexed along its batch axis."""
    if isinstance(index, slice):
        fields = [field[index] for field in parameters]
    else:
        fields = [field.index_select(0, index) for field in parameters]
    return type(parameters)(*fields)


def to_device(parameters: P, device: torch.device) -> P:
    """Parameters on another device (the same object if they are there already)."""
    if all(field.device == device for field in parameters):
        return parameters
    return type(parameters)(*(field.to(device) for field in parameters))


class Op(nn.Module, ABC, Generic[P]):
    """An augmentation of an image batch, with parameters of its own for every sample.

    `sample` draws the parameters (a named tuple of tensors whose first axis is the batch),
    `transform` obeys them and draws nothing. So any result can be repeated, cut into chunks,
    and compared sample by sample with another library.
    """

    def output_shape(self, shape: Shape) -> Shape:
        """Sizes after the operation, from the sizes before it."""
        return shape

    @abstractmethod
    def sample(self, shape: Shape, generator: torch.Generator | None = None) -> P:
        """Draw the parameters for a batch of these sizes, on the generator's device."""

    @abstractmethod
    def transform_(self, images: Tensor, parameters: P) -> Tensor:
        """Transform a batch; `images` may be overwritten, only the result counts."""

    def transform(self, images: Tensor, parameters: P) -> Tensor:
        """Transform a batch and leave `images` as they are."""
        return self.transform_(images.clone(), parameters)

    def forward(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw parameters and transform a copy of the batch."""
        return self.transform(images, self.sample(tuple(images.shape), generator))


class Choice(NamedTuple):
    """Which samples an operation happens to."""

    chosen: Bool[Tensor, " batch"]


class RandomOp(Op[P]):
    """An operation that happens to each sample with probability `p`.

    The first field of the parameters is the choice, Bool[batch]; operations without others
    inherit `sample`. Samples that are not chosen stay as they are, and cost nothing.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = check_probability("p", p)

    def sample(self, shape: Shape, generator: torch.Generator | None = None) -> P:
        """Choose the samples."""
        return cast(P, Choice(chosen(shape[0], self.p, generator)))

    @abstractmethod
    def change_(
        self, images: Float[Tensor, "batch channel height width"], parameters: P
    ) -> Float[Tensor, "batch channel height width"]:
        """Transform every image of a batch in place, whatever the choice says."""

    def transform_(
        self, images: Float[Tensor, "batch channel height width"], parameters: P
    ) -> Float[Tensor, "batch channel height width"]:
        """Transform the chosen images in place."""
        index = parameters[0].nonzero().flatten()
        if len(index) == 0:
            return images
        if len(index) == len(images):
            return self.change_(images, parameters)
        parameters = rows(parameters, index)
        index = index.to(images.device)
        return images.index_copy_(0, index, self.change_(images.index_select(0, index), parameters))


class ViewList(nn.Module):
    """The views that one objective receives of each batch.

    Args:
        views: One pipeline per view; sizes may differ (multi-crop).

    Raises:
        ValueError: There is no view.
    """

    column: Column | None = None
    """The column of a store that the views are made from; of audio alone."""
    gives: Column | None = None
    """What the views are, log-mel or waves; of audio alone."""

    def __init__(self, views: Sequence[nn.Module]) -> None:
        super().__init__()
        if len(views) == 0:
            raise ValueError("a recipe needs at least one view")
        self.views = nn.ModuleList(views)

    @property
    def num_views(self) -> int:
        """Views of each sample."""
        return len(self.views)


def uniform(
    shape: tuple[int, ...], low: float, high: float, generator: torch.Generator | None
) -> Float[Tensor, "..."]:
    """Draw uniform numbers in [low, high) on the generator's device (the CPU without one)."""
    device = torch.device("cpu") if generator is None else generator.device
    return torch.rand(shape, generator=generator, device=device).mul_(high - low).add_(low)


def chosen(num: int, p: float, generator: torch.Generator | None) -> Bool[Tensor, " batch"]:
    """Choose each of `num` samples with probability `p`, independently."""
    return uniform((num,), 0.0, 1.0, generator) < p


def check_probability(name: str, p: float) -> float:
    """Return `p` if it is a probability.

    Raises:
        ValueError: `p` is outside [0, 1]; the message names `name`.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name} is a probability and must lie in [0, 1], got {p}")
    return float(p)


def check_ratio(ratio: float) -> float:
    """Return a share that lies strictly between 0 and 1.

    Raises:
        ValueError: It does not.
    """
    if not 0.0 < ratio < 1.0:
        raise ValueError(f"ratio must lie strictly between 0 and 1, got {ratio}")
    return ratio


def check_interval(name: str, bounds: object, low: float, high: float) -> tuple[float, float]:
    """Return `bounds` as a pair of floats if low <= bounds[0] <= bounds[1] <= high.

    Raises:
        ValueError: it is no such pair; the message names `name`.
    """
    try:
        first, second = (float(bound) for bound in bounds)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a pair of numbers, got {bounds!r}") from None
    if not low <= first <= second <= high:
        raise ValueError(
            f"{name} must be an increasing pair in [{low}, {high}], got ({first}, {second})"
        )
    return first, second


def draw_seed(generator: torch.Generator | None) -> int:
    """A seed for another source; the generator moves on by one draw, however long the batch."""
    device = torch.device("cpu") if generator is None else generator.device
    return int(torch.randint(2**62, (), generator=generator, device=device))
