"""What every augmentation is: random parameters, and a transformation that obeys them."""

from abc import ABC, abstractmethod
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trivium.views.draw import check_probability

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


class RandomOp(Op[P]):
    """An operation that happens to each sample with probability `p`.

    The first field of the parameters is the choice, Bool[batch]. Samples that are not chosen
    stay bit for bit as they are, and cost nothing.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = check_probability("p", p)

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
