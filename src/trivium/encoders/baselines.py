"""Controls that every encoder must beat: raw input, and statistics of mel bands."""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trivium.encoders.layers import every_token
from trivium.encoders.patches import Patches
from trivium.encoders.spectrogram import MelPatches, audio_shape, moments
from trivium.types import Column, DataSpec, Encoder, Features, Modality


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


class MelStatistics(Encoder):
    """Mean and standard deviation over time of each band of the log-mel; no parameters.

    Args:
        data: An audio dataset's facts.
        name: The encoder's yaml name.

    Raises:
        ValueError: If the data are not audio.
    """

    contextual: ClassVar[bool] = False
    modality: ClassVar[Modality] = "audio"
    column: ClassVar[Column | None] = "mel"

    def __init__(self, data: DataSpec, *, name: str = "mel_statistics"):
        super().__init__()
        self.name = name
        self.arguments = {"data": data.plain(), "name": name}
        bands = audio_shape(data)[2]
        self.stem: MelPatches = MelPatches(data, patch=(1, bands))
        self.width = self.token_width = 2 * bands

    def forward(
        self,
        values: Float[Tensor, "batch 1 frame band"],
        valid: Bool[Tensor, "batch frame"] | None = None,
    ) -> Features:
        """Means of all bands, then their deviations, over the valid frames."""
        pooled = torch.cat(moments(values, valid), dim=1)
        tokens = pooled.unsqueeze(1)
        return Features(tokens, pooled, every_token(tokens))
