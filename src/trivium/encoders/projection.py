"""A linear encoder: an affine map of the whole input."""

import math
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from trivium.encoders.patches import Patches
from trivium.encoders.validity import every_token
from trivium.types import DataSpec, Encoder, Features


class Projection(Encoder):
    r"""$W (x - \bar{x})$ of the flattened values in [0, 1]; without parameters to train.

    The buffers `mean` [value] and `components` [width, value] hold the map. They start as
    zeros and are filled in closed form, by the control `pca`.

    Args:
        data: An image dataset's facts.
        width: Components, at most as many as the input has values.
        name: The encoder's name in its description.

    Raises:
        ValueError: If the data are not images, or have fewer values than `width`.
    """

    contextual: ClassVar[bool] = False
    mean: Tensor
    components: Tensor

    def __init__(self, data: DataSpec, *, width: int, name: str = "projection"):
        super().__init__()
        num_values = math.prod(data.shape)
        if not 1 <= width <= num_values:
            raise ValueError(
                f"a projection of {data.name!r} has between 1 and {num_values} components, one "
                f"per input value at most, but width is {width}: choose a smaller width."
            )
        self.name = name
        self.arguments = {"data": data.plain(), "width": width, "name": name}
        self.stem: Patches = self.stem_of(data)
        self.width = self.token_width = width
        self.register_buffer("mean", torch.zeros(num_values))
        self.register_buffer("components", torch.zeros(width, num_values))

    def forward(
        self,
        values: Float[Tensor, "batch channel height width"],
        valid: Bool[Tensor, "batch token"] | None = None,
    ) -> Features:
        """Project images in [0, 1]; they have no invalid parts, so `valid` must be None."""
        if valid is not None:
            raise ValueError("a projection sees whole images: valid must be None.")
        return self.project(values)

    def stem_of(self, data: DataSpec) -> Patches:
        """What predicting the input means."""
        return Patches(data, patch=1)

    def flatten(
        self, values: Shaped[Tensor, "batch channel height width"]
    ) -> Shaped[Tensor, "batch value"]:
        """All values of each sample in a row."""
        return values.flatten(1)

    def project(self, values: Float[Tensor, "batch channel height width"]) -> Features:
        """The components of the flattened values."""
        pooled = (self.flatten(values) - self.mean) @ self.components.T
        tokens = pooled.unsqueeze(1)
        return Features(tokens, pooled, every_token(tokens))
