"""Cepstral coefficients of the input: what the targets of HuBERT begin with."""

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from trivium.data.spectrogram import LogMel, settings_of
from trivium.types import DataSpec

NUM_COEFFICIENTS = 13
WIDTH = 3 * NUM_COEFFICIENTS
LIFTER = 22
"""Of Kaldi and HTK: it makes high coefficients, which are small, count as much as low ones."""


class MFCC(nn.Module):
    """13 mel-frequency cepstral coefficients with their first and second differences: 39 values.

    The orthonormal DCT-II of the data's own log-mel (Davis and Mermelstein 1980; torchaudio's
    `create_dct`), coefficient i times 1 + 11 sin(pi i / 22) (Kaldi's lifter), and twice
    `compute_deltas` over five frames, as HuBERT (2106.07447, section IV-B). Behind the end of a
    clip its last frame is repeated, so that padding changes none of its frames.

    Raises:
        ValueError: The data have fewer than 13 mel bands.
    """

    dct: Tensor

    def __init__(self, data: DataSpec) -> None:
        super().__init__()
        from torchaudio.functional import create_dct

        with torch.device("cpu"):  # torchaudio reads its filters' values; meta tensors have none
            self.log_mel = LogMel(settings_of(data.sound))
        bands = data.shape[2]
        if bands < NUM_COEFFICIENTS:
            raise ValueError(
                f"{NUM_COEFFICIENTS} cepstral coefficients need as many mel bands, but "
                f"{data.name} has {bands}: raise data.spectrogram.bands."
            )
        numbers = torch.arange(NUM_COEFFICIENTS)
        lifter = 1 + LIFTER / 2 * (torch.pi * numbers / LIFTER).sin()
        dct = create_dct(NUM_COEFFICIENTS, bands, "ortho") * lifter
        self.register_buffer("dct", dct, persistent=False)

    @property
    def hop(self) -> int:
        """Samples between frames."""
        return self.log_mel.settings.hop

    @torch.no_grad()
    def forward(
        self,
        values: Shaped[Tensor, "batch ..."],
        valid: Bool[Tensor, "batch length"] | None = None,
    ) -> Float[Tensor, "batch frame 39"]:
        """Of log-mel [batch, 1, frame, band] or of waves [batch, sample]."""
        from torchaudio.functional import compute_deltas

        with torch.autocast(values.device.type, enabled=False):
            waves = values.ndim == 2
            mel = self.log_mel(values) if waves else values.squeeze(1).float()
            ends = None
            if valid is not None:
                ends = (valid.sum(1) // self.hop if waves else valid.sum(1)).clamp(min=1)
            coefficients = _held((mel @ self.dct).transpose(1, 2), ends)
            first = _held(compute_deltas(coefficients), ends)
            second = _held(compute_deltas(first), ends)
        return torch.cat([coefficients, first, second], dim=1).transpose(1, 2)


def of_tokens(
    frames: Float[Tensor, "batch frame value"], plane: tuple[int, int], *, hop: int, samples: int
) -> Float[Tensor, "batch token value"]:
    """The mean of the frames of each token's time, the same for all tokens of one time.

    Those whose centre, a multiple of the `hop`, lies in the token's `samples`, the next one where
    there is none; the last frame replaces those that a last token lacks. `plane`: rows (time) and
    columns (frequency) of the tokens.
    """
    rows, columns = plane
    bounds = -(-samples * torch.arange(rows + 1, device=frames.device) // hop)
    starts = bounds[:-1]
    counts = (bounds[1:] - starts).clamp(min=1)
    steps = torch.arange(-(-samples // hop), device=frames.device)
    index = (starts.unsqueeze(1) + steps).clamp(max=frames.shape[1] - 1)
    counted = (steps < counts.unsqueeze(1)).to(frames.dtype).unsqueeze(-1)
    means = (frames[:, index] * counted).sum(2) / counts.unsqueeze(1)
    return means.repeat_interleave(columns, dim=1)


def _held(frames: Tensor, ends: Tensor | None) -> Tensor:
    """[batch, value, frame] whose last frame is repeated behind the end of each clip."""
    if ends is None:
        return frames
    numbers = torch.arange(frames.shape[2], device=frames.device)
    index = torch.minimum(numbers, ends.unsqueeze(1) - 1)
    return frames.gather(2, index.unsqueeze(1).expand_as(frames))
