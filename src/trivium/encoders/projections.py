"""Linear encoders: an affine map of a picture, a spectrogram or the counts of a text's ids."""

import math
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor
from torch.nn import functional as F

from trivium.data.spectrogram import SILENCE
from trivium.encoders.layers import one_token, sample_shape
from trivium.encoders.patches import Patches
from trivium.encoders.spectrogram import MelPatches
from trivium.encoders.text import Ids
from trivium.types import SPECIAL_TOKENS, Column, DataSpec, Encoder, Features, Modality


class Projection(Encoder):
    r"""$W (x - \bar{x})$ of the flattened values in [0, 1]; no parameters to train.

    The buffers `mean` [value] and `components` [width, value] are filled by the control `pca`.

    Raises:
        ValueError: The data are not images, or have fewer values than `width`.
    """

    contextual: ClassVar[bool] = False
    mean: Tensor
    components: Tensor

    def __init__(self, data: DataSpec, *, width: int, name: str = "projection"):
        super().__init__()
        self.keep_arguments(locals())
        num_values = math.prod(data.shape)
        if not 1 <= width <= num_values:
            raise ValueError(
                f"a projection of {data.name!r} has between 1 and {num_values} components, one "
                f"per input value at most, but width is {width}: choose a smaller width."
            )
        self.stem: Patches = self.stem_of(data)
        self.width = self.token_width = width
        self.register_buffer("mean", torch.zeros(num_values))
        self.register_buffer("components", torch.zeros(width, num_values))

    def forward(
        self,
        values: Float[Tensor, "batch channel height width"],
        valid: Bool[Tensor, "batch length"] | None = None,  # noqa: ARG002
    ) -> Features:
        """Project whole samples: images in [0, 1], or log-mel clips, whose padding is silence."""
        return one_token((self.flatten(values) - self.mean) @ self.components.T)

    def stem_of(self, data: DataSpec) -> Patches:
        """What predicting the input means."""
        return Patches(data, patch=1)

    def flatten(
        self, values: Shaped[Tensor, "batch channel height width"]
    ) -> Shaped[Tensor, "batch value"]:
        """All values of each sample in a row."""
        return values.flatten(1)


class MelProjection(Projection):
    """As `Projection`, of log-mel spectrograms; shorter clips end with silence."""

    modality: ClassVar[Modality] = "audio"
    column: ClassVar[Column | None] = "mel"

    def stem_of(self, data: DataSpec) -> MelPatches:
        """What predicting the input means: its frames."""
        _, self.frames, bands = sample_shape(data, "audio")
        return MelPatches(data, patch=(1, bands))

    def flatten(self, values: Float[Tensor, "batch 1 frame band"]) -> Float[Tensor, "batch value"]:
        """All values of each clip in a row, shorter clips filled up with silence."""
        missing = self.frames - values.shape[2]
        return F.pad(values, (0, 0, 0, missing), value=SILENCE).flatten(1)


class TermProjection(Encoder):
    """How often each id occurs, weighted, brought to unit length and projected.

    The buffers `weights` [id] and `components` [width, id] are filled by the control `lsa`. Special
    tokens and padding do not count; a text without any other id is a row of zeros.

    Raises:
        ValueError: The data are not texts, or their vocabulary is too small for `width`.
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
        self.keep_arguments(locals())
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
        return one_token(self.project(counts))

    def project(self, counts: Float[Tensor, "batch id"]) -> Float[Tensor, "batch channel"]:
        """Counts of ids on the components."""
        return F.normalize(counts * self.weights, dim=1) @ self.components.T
