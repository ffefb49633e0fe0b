"""Audio as log-mel spectrograms: their patches, and the transformer over them."""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from trivium.data.spectrogram import SILENCE
from trivium.encoders.patches import Patches, PatchStem
from trivium.encoders.vit import ViT
from trivium.types import Column, Modality


class MelPatches(Patches):
    """Standardised patches of log-mel spectrograms, frame by frame: rows are time.

    Clips may be shorter than the longest and need not end with a patch: silence fills the last
    one. A token holds data if any of its frames does.

    Args:
        data: A dataset's spec; its mean and std standardise the log-mel.
        patch: Frames and mel bands of a patch, None for all; the bands must divide the data's.

    Raises:
        ValueError: The data are not audio, or the bands do not divide.
    """

    modality: ClassVar[Modality] = "audio"

    @property
    def blank(self) -> float:
        """Masked values are shown as silence."""
        return (SILENCE - float(self.mean)) / float(self.std)

    def divide(self, name: str, height: int, width: int) -> tuple[int, int]:
        """Rows (time) and columns (frequency) of patches."""
        if width % self.sides[1]:
            raise ValueError(
                f"a patch of {self.sides[1]} mel bands does not divide the {width} of {name!r}: "
                "choose encoder.patch=[frames, bands] with bands that do."
            )
        return -(-height // self.sides[0]), width // self.sides[1]

    def length(self, values: Float[Tensor, "batch 1 frame band"]) -> int:
        """Tokens of a batch of clips."""
        return -(-values.shape[2] // self.sides[0]) * self.grid[1]

    def samples(self, hop: int) -> int:
        """Samples of the wave from one token to the next in time, at a hop between frames."""
        return self.sides[0] * hop

    def filled(self, values: Float[Tensor, "batch 1 frame band"]) -> Tensor:
        """Clips with silence behind them, up to a whole patch."""
        missing = -values.shape[2] % self.sides[0]
        return F.pad(values, (0, 0, 0, missing), value=SILENCE) if missing else values

    def patchify(
        self, values: Float[Tensor, "batch 1 frame band"]
    ) -> Float[Tensor, "batch token value"]:
        """Cut standardised clips, which end with a whole patch, into patches."""
        return self._cut(values, self.plane(self.length(values)))

    def standardise(
        self, values: Float[Tensor, "batch 1 frame band"]
    ) -> Float[Tensor, "batch 1 frames band"]:
        """Log-mel, filled up to a whole patch, to zero mean and unit variance over train."""
        return super().standardise(self.filled(values))

    def render(
        self, prediction: Float[Tensor, "batch token value"]
    ) -> Float[Tensor, "batch 1 frame band"]:
        """Predicted standardised patches as log-mel, silence at least."""
        clips = self.unpatchify(prediction.float()) * self.std + self.mean
        return clips.clamp(min=SILENCE)

    def paint(self, values: Float[Tensor, "batch token"]) -> Float[Tensor, "batch 1 frame band"]:
        """One number in [0, 1] per token as log-mel between silence and power 1."""
        return SILENCE * (1 - super().paint(values))

    def valid_tokens(self, valid: Bool[Tensor, "batch frame"]) -> Bool[Tensor, "batch token"]:
        """Which tokens hold data, given which frames do."""
        missing = -valid.shape[1] % self.sides[0]
        rows = F.pad(valid, (0, missing)).view(len(valid), -1, self.sides[0]).any(2)
        return rows.repeat_interleave(self.grid[1], dim=1)


class MelPatchStem(MelPatches, PatchStem):
    """Patches of log-mel embedded linearly, with positions in time and frequency.

    As AST (2104.01778, section 2.1) without overlap; patches of all mel bands are frames (SSAST,
    2110.09784, section 2.1). Shorter clips have the first positions.
    """

    def forward(
        self, values: Float[Tensor, "batch 1 frame band"]
    ) -> Float[Tensor, "batch token embedding"]:
        """Log-mel clips to tokens with positions, one row of patches after another.

        Raises:
            ValueError: If the clips are longer than was foreseen.
        """
        length = self.length(values)
        if length > self.num_tokens:
            raise ValueError(
                f"the clips have {values.shape[2]} frames, the encoder was built for "
                f"{self.grid[0] * self.sides[0]} at most: cut them, or raise data.spec.shape and "
                "train again."
            )
        projected: Tensor = self.projection(self.patchify(self.standardise(values)))
        return projected + self.positions[:length]

    def grid_of(self, values: Float[Tensor, "batch 1 frame band"]) -> tuple[int, int]:
        """Rows (time) and columns (frequency) of the tokens of these clips."""
        return self.plane(self.length(values))


class SpectrogramTransformer(ViT):
    """A transformer over patches of log-mel: AST (2104.01778) without distillation.

    As `ViT`, with `patch` as frames and mel bands. Tokens come in the order of time, those of one
    time from low to high frequencies. Padding is never attended to and never averaged.
    """

    modality: ClassVar[Modality] = "audio"
    column: ClassVar[Column | None] = "mel"
    stem_class: ClassVar[type[PatchStem]] = MelPatchStem


def moments(
    values: Float[Tensor, "batch 1 frame band"], valid: Bool[Tensor, "batch frame"] | None
) -> tuple[Float[Tensor, "batch band"], Float[Tensor, "batch band"]]:
    """Mean and standard deviation over the valid frames of each band."""
    frames = values.squeeze(1)
    if valid is None:
        variance, mean = torch.var_mean(frames, dim=1, correction=0)
        return mean, variance.sqrt()
    weight = valid.to(frames.dtype).unsqueeze(-1)
    weight = weight / weight.sum(1, keepdim=True)
    mean = (frames * weight).sum(1)
    variance = ((frames - mean.unsqueeze(1)).square() * weight).sum(1)
    return mean, variance.sqrt()
