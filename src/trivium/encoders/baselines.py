"""Controls that every encoder must beat: raw input, and statistics of mel bands."""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trivium.encoders.layers import one_token, sample_shape
from trivium.encoders.patches import Patches
from trivium.encoders.spectrogram import MelPatches, moments
from trivium.types import Column, DataSpec, Encoder, Features, Modality


class Raw(Encoder):
    """No encoding: the pixels in [0, 1], flattened by (channel, row, column); no parameters."""

    contextual: ClassVar[bool] = False

    def __init__(self, data: DataSpec, *, name: str = "raw"):
        super().__init__()
        self.keep_arguments(locals())
        self.stem: Patches = Patches(data, patch=1)
        self.width = self.token_width = self.stem.num_tokens * self.stem.target_width

    def forward(
        self,
        values: Float[Tensor, "batch channel height width"],
        valid: Bool[Tensor, "batch token"] | None = None,  # noqa: ARG002
    ) -> Features:
        """Flatten images in [0, 1]."""
        return one_token(values.flatten(1))


class MelStatistics(Encoder):
    """Mean and standard deviation over time of each log-mel band; no parameters."""

    contextual: ClassVar[bool] = False
    modality: ClassVar[Modality] = "audio"
    column: ClassVar[Column | None] = "mel"

    def __init__(self, data: DataSpec, *, name: str = "mel_statistics"):
        super().__init__()
        self.keep_arguments(locals())
        bands = sample_shape(data, "audio")[2]
        self.stem: MelPatches = MelPatches(data, patch=(1, bands))
        self.width = self.token_width = 2 * bands

    def forward(
        self,
        values: Float[Tensor, "batch 1 frame band"],
        valid: Bool[Tensor, "batch frame"] | None = None,
    ) -> Features:
        """Means of all bands, then their deviations, over the valid frames."""
        return one_token(torch.cat(moments(values, valid), dim=1))
