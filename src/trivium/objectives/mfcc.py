"""Cepstral coefficients of the input: what the targets of HuBERT begin with."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from trivium.data.spectrogram import LogMel, settings_of
from trivium.types import DataSpec

NUM_COEFFICIENTS = 13
WIDTH = 3 * NUM_COEFFICIENTS


class MFCC(nn.Module):
    """13 mel-frequency cepstral coefficients with their first and second differences: 39 values.

    The orthonormal DCT-II of the log-mel (Davis and Mermelstein 1980; torchaudio's `create_dct`)
    and twice torchaudio's `compute_deltas` over five frames, as HuBERT (2106.07447, section IV-B)
    takes them, of the data's own log-mel.

    Args:
        data: An audio dataset's facts.
    """

    dct: Tensor

    def __init__(self, data: DataSpec) -> None:
        super().__init__()
        from torchaudio.functional import create_dct

        self.log_mel = LogMel(settings_of(data.sound))
        bands = data.shape[2]
        if bands < NUM_COEFFICIENTS:
            raise ValueError(
                f"{NUM_COEFFICIENTS} cepstral coefficients need as many mel bands, but "
                f"{data.name} has {bands}: raise data.spectrogram.bands."
            )
        self.register_buffer("dct", create_dct(NUM_COEFFICIENTS, bands, "ortho"), persistent=False)

    @torch.no_grad()
    def forward(self, values: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch frame 39"]:
        """Of log-mel [batch, 1, frame, band] or of waves [batch, sample]."""
        from torchaudio.functional import compute_deltas

        with torch.autocast(values.device.type, enabled=False):
            mel = self.log_mel(values) if values.ndim == 2 else values.squeeze(1).float()
            coefficients = (mel @ self.dct).transpose(1, 2)
            first = compute_deltas(coefficients)
            stacked = torch.cat([coefficients, first, compute_deltas(first)], dim=1)
        return stacked.transpose(1, 2)


def of_tokens(
    frames: Float[Tensor, "batch frame value"], rows: int, columns: int
) -> Float[Tensor, "batch token value"]:
    """The mean of the frames of each token's time, the same for all tokens of one time.

    The last frame stands in for those that a last token lacks.
    """
    size = -(-frames.shape[1] // rows)
    missing = size * rows - frames.shape[1]
    padded = torch.cat([frames, frames[:, -1:].expand(-1, missing, -1)], dim=1)
    means = padded.view(len(frames), rows, size, -1).mean(2)
    return means.repeat_interleave(columns, dim=1)
