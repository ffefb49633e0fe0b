"""Audio as waves: strided convolutions, and the transformer over what they find."""

from itertools import pairwise
from typing import ClassVar, Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.data.spectrogram import settings_of
from trivium.encoders.layers import sample_shape, sincos_2d
from trivium.encoders.patches import standardise_tokens
from trivium.encoders.transformer import Init, Transformer, TransformerEncoder
from trivium.types import Column, DataSpec, Modality, Stem

KERNELS = (10, 3, 3, 3, 3, 2, 2)
STRIDES = (5, 2, 2, 2, 2, 2, 2)
STRIDE = 320
"""Samples between tokens: the product of the strides (20 ms at 16 kHz)."""
FIELD = 400
"""Samples that a token sees."""


class WaveStem(Stem):
    """The feature encoder of wav2vec 2.0 (2006.11477, section 2): seven strided convolutions.

    Each is followed by a LayerNorm over the channels and a GELU (the variant of its large models,
    in which padding does not matter); then a LayerNorm and a linear map. Zeros around a clip make
    one token of every 320 samples. A wave is first divided by its root mean square over the samples
    that are not exactly zero; that wave, 320 samples per token, is also what is predicted, by
    squared error. Positions are fixed sine-cosine codes instead of a convolution, so that any
    subset of the tokens can be encoded.

    Args:
        data: An audio dataset's spec.
        width: Channels of the tokens.
        channels: Channels of the convolutions; 512 in the paper.

    Raises:
        ValueError: The data are not audio.
    """

    likelihood: ClassVar[Literal["gaussian", "categorical"]] = "gaussian"
    positions: Tensor

    def __init__(self, data: DataSpec, *, width: int, channels: int):
        super().__init__()
        frames = sample_shape(data, "audio")[1]
        self.num_tokens = -(-frames * settings_of(data.sound).hop // STRIDE)
        self.grid = (self.num_tokens, 1)
        self.target_width = STRIDE
        sizes = [1] + [channels] * len(KERNELS)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, kernel, stride, bias=False)
            for (before, after), kernel, stride in zip(
                pairwise(sizes), KERNELS, STRIDES, strict=True
            )
        )
        for convolution in self.convolutions:
            nn.init.kaiming_normal_(convolution.weight)  # type: ignore[arg-type]
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in KERNELS)
        self.norm = nn.LayerNorm(channels)
        self.projection = nn.Linear(channels, width)
        codes = sincos_2d(2 * width, (1, self.num_tokens))[:, :width]
        self.register_buffer("positions", codes, persistent=False)

    def forward(
        self, values: Float[Tensor, "batch sample"]
    ) -> Float[Tensor, "batch token embedding"]:
        """Waves in [-1, 1] to tokens with positions.

        Raises:
            ValueError: If the clips are longer than was foreseen.
        """
        length = self.length(values)
        if length > self.num_tokens:
            raise ValueError(
                f"the clips have {values.shape[1]} samples, the encoder was built for "
                f"{self.num_tokens * STRIDE} at most: cut them, or raise data.spec.shape and "
                "train again."
            )
        left = (FIELD - STRIDE) // 2
        right = length * STRIDE - values.shape[1] + FIELD - STRIDE - left
        hidden = F.pad(self.level(values), (left, right)).unsqueeze(1)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            hidden = F.gelu(norm(convolution(hidden).transpose(1, 2))).transpose(1, 2)
        projected: Tensor = self.projection(self.norm(hidden.transpose(1, 2)))
        return projected + self.positions[:length]

    def length(self, values: Float[Tensor, "batch sample"]) -> int:
        """Tokens of a batch of clips."""
        return -(-values.shape[1] // STRIDE)

    def samples(self, hop: int) -> int:  # noqa: ARG002
        """Samples of the wave from one token to the next, whatever the hop between frames."""
        return STRIDE

    def level(self, values: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch sample"]:
        """Waves of root mean square 1 over the samples that are not exactly zero."""
        count = (values != 0).sum(1, keepdim=True).clamp(min=1)
        scale = (values.square().sum(1, keepdim=True) / count + 1e-8).rsqrt()
        levelled: Tensor = values * scale
        return levelled

    def target(
        self, values: Float[Tensor, "batch sample"], *, normalise: bool = False
    ) -> Float[Tensor, "batch token piece"]:
        """The levelled wave, 320 samples per token; `normalise` standardises each token."""
        missing = self.length(values) * STRIDE - values.shape[1]
        pieces = F.pad(self.level(values), (0, missing)).view(len(values), -1, STRIDE)
        return standardise_tokens(pieces) if normalise else pieces

    def distance(
        self,
        prediction: Float[Tensor, "batch token piece"],
        target: Float[Tensor, "batch token piece"],
    ) -> Float[Tensor, "batch token"]:
        """Mean squared error over each token's samples."""
        return (prediction.float() - target.float()).square().mean(dim=-1)

    def render(
        self, prediction: Float[Tensor, "batch token piece"]
    ) -> Float[Tensor, "batch sample"]:
        """Predicted pieces as waves, a tenth as loud as they are levelled, in [-1, 1]."""
        return (prediction.float().flatten(1) / 10).clamp(-1, 1)

    def valid_tokens(self, valid: Bool[Tensor, "batch sample"]) -> Bool[Tensor, "batch token"]:
        """Which tokens hold data, given which samples do."""
        missing = -valid.shape[1] % STRIDE
        return F.pad(valid, (0, missing)).view(len(valid), -1, STRIDE).any(2)


class WaveTransformer(TransformerEncoder):
    """wav2vec 2.0's architecture (2006.11477): convolutions on the wave, then a `Transformer`.

    Args:
        data: An audio dataset's spec.
        name: The encoder's yaml name.
        width: Channels of the tokens; a multiple of `num_heads`.
        depth, num_heads, mlp_ratio, drop_path, init: Of the trunk, see `Transformer`.
        channels: Channels of the convolutions.

    Raises:
        ValueError: The data are not audio, or `width` does not split into heads.
    """

    modality: ClassVar[Modality] = "audio"
    column: ClassVar[Column | None] = "wave"

    def __init__(
        self,
        data: DataSpec,
        *,
        name: str,
        width: int,
        depth: int,
        num_heads: int,
        channels: int,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        init: Init = "normal",
    ):
        super().__init__()
        self.keep_arguments(locals())
        self.width = self.token_width = width
        self.stem = WaveStem(data, width=width, channels=channels)
        self.trunk = Transformer(
            width, depth, num_heads, mlp_ratio=mlp_ratio, drop_path=drop_path, init=init
        )
