"""A linear encoder of texts: weighted counts of ids on a few directions."""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from trivium.encoders.tokens import Ids
from trivium.encoders.validity import every_token
from trivium.types import SPECIAL_TOKENS, DataSpec, Encoder, Features, Modality


class TermProjection(Encoder):
    """How often each id occurs, weighted, brought to unit length and projected.

    The buffers `weights` [id] and `components` [width, id] hold the map; there is nothing to
    train. They start as zeros and are filled in closed form, by the control `lsa`. Special
    tokens and padding do not count; a text without any other id is a row of zeros.

    Args:
        data: A text dataset's facts.
        width: Components, fewer than the vocabulary has ids.
        name: The encoder's name in its description.

    Raises:
        ValueError: If the data are not texts, or their vocabulary is too small for `width`.
    """

    contextual: ClassVar[bool] = False
    modality: ClassVar[Modality] = "text"
    weights: Tensor
    components: Tensor

    def __init__(self, data: DataSpec, *, width: int, name: str = "term_projection"):
        super().__init__()
        self.stem: Ids = Ids(data)
        if not 1 <= width < data.vocabulary:
            raise ValueError(
                f"a projection of {data.name!r} has between 1 and {data.vocabulary - 1} "
                f"components, fewer than the vocabulary has ids, but width is {width}: choose "
                "another width."
            )
        self.name = name
        self.arguments = {"data": data.plain(), "width": width, "name": name}
        self.width = self.token_width = width
        self.register_buffer("weights", torch.zeros(data.vocabulary))
        self.register_buffer("components", torch.zeros(width, data.vocabulary))

    def forward(
        self,
        values: Int64[Tensor, "batch token"],
        valid: Bool[Tensor, "batch token"] | None = None,
    ) -> Features:
        """Project texts; each is one token."""
        counted = values >= len(SPECIAL_TOKENS)
        if valid is not None:
            counted = counted & valid
        counts = self.weights.new_zeros(len(values), len(self.weights))
        counts.scatter_add_(1, values, counted.to(counts.dtype))
        pooled = self.project(counts)
        tokens = pooled.unsqueeze(1)
        return Features(tokens, pooled, every_token(tokens))

    def project(self, counts: Float[Tensor, "batch id"]) -> Float[Tensor, "batch channel"]:
        """Counts of ids on the components."""
        return F.normalize(counts * self.weights, dim=1) @ self.components.T
