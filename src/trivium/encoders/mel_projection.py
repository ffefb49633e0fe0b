"""A linear encoder of audio: an affine map of the whole spectrogram."""

from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from trivium.data.spectrogram import SILENCE
from trivium.encoders.projection import Projection
from trivium.encoders.spectrogram import MelPatches, audio_shape
from trivium.types import Column, DataSpec, Features, Modality


class MelProjection(Projection):
    """As `Projection`, of log-mel spectrograms; behind a shorter clip there is silence.

    Args:
        data: An audio dataset's facts.
        width: Components, at most as many as the longest clip has values.
        name: The encoder's name in its description.

    Raises:
        ValueError: If the data are not audio, or have fewer values than `width`.
    """

    modality: ClassVar[Modality] = "audio"
    column: ClassVar[Column | None] = "mel"

    def stem_of(self, data: DataSpec) -> MelPatches:
        """What predicting the input means: its frames."""
        self.frames, bands = audio_shape(data)[1:]
        return MelPatches(data, patch=(1, bands))

    def forward(
        self,
        values: Float[Tensor, "batch 1 frame band"],
        valid: Bool[Tensor, "batch frame"] | None = None,  # noqa: ARG002
    ) -> Features:
        """Project log-mel clips; `valid` says nothing that the silence does not."""
        return self.project(values)

    def flatten(self, values: Float[Tensor, "batch 1 frame band"]) -> Float[Tensor, "batch value"]:
        """All values of each clip in a row, shorter clips filled up with silence."""
        missing = self.frames - values.shape[2]
        return F.pad(values, (0, 0, 0, missing), value=SILENCE).flatten(1)
