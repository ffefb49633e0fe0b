"""The control that every encoder must beat: the input itself."""

from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor

from trivium.encoders.patches import Patches
from trivium.encoders.validity import every_token
from trivium.types import DataSpec, Encoder, Features


class Raw(Encoder):
    """No encoding: the pixels in [0, 1], flattened by (channel, row, column). No parameters.

    Args:
        data: An image dataset's facts.
        name: The encoder's yaml name.

    Raises:
        ValueError: If the data are not images.
    """

    contextual: ClassVar[bool] = False

    def __init__(self, data: DataSpec, *, name: str = "raw"):
        super().__init__()
        self.name = name
        self.arguments = {"data": data.plain(), "name": name}
        self.stem: Patches = Patches(data, patch=1)
        self.width = self.token_width = self.stem.num_tokens * self.stem.target_width

    def forward(
        self,
        values: Float[Tensor, "batch channel height width"],
        valid: Bool[Tensor, "batch token"] | None = None,
    ) -> Features:
        """Flatten images in [0, 1]; they have no invalid parts, so `valid` must be None."""
        if valid is not None:
            raise ValueError("the raw control sees whole images: valid must be None.")
        pooled = values.flatten(1)
        tokens = pooled.unsqueeze(1)
        return Features(tokens, pooled, every_token(tokens))
