"""A narrow code on the pooled features, and the way back to every token."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trivium.encoders.validity import is_every_token
from trivium.objectives.decoder import TokenDecoder
from trivium.types import Encoder, Features, Stem


class Bottleneck(nn.Module):
    """A linear code of `latent_width` channels and its `TokenDecoder`: what autoencoders share.

    Args:
        encoder: Whose pooled features are coded, and whose stem says what is predicted.
        latent_width: Channels of the code.
        decoder_width: Channels of the decoder's tokens.
        decoder_depth: Residual MLPs of the decoder.
    """

    def __init__(
        self, encoder: Encoder, *, latent_width: int, decoder_width: int, decoder_depth: int
    ) -> None:
        super().__init__()
        stem = encoder.stem
        self.code = nn.Linear(encoder.width, latent_width)
        self.decoder = TokenDecoder(
            latent_width,
            stem.num_tokens,
            stem.target_width,
            width=decoder_width,
            depth=decoder_depth,
        )

    def forward(
        self, pooled: Float[Tensor, "batch channel"], length: int | None = None
    ) -> Float[Tensor, "batch token target_width"]:
        """Predict every token's target, or that of the first `length`, from pooled features.

        In float32.
        """
        prediction: Tensor = self.decoder(self.code(pooled), length)
        return prediction.float()


def reconstruction_error(
    stem: Stem, prediction: Tensor, values: Tensor, features: Features
) -> Float[Tensor, ""]:
    """The stem's distance of a prediction from the clean values, averaged over valid tokens."""
    return mean_over_valid(stem.distance(prediction, stem.target(values)), features)


def mean_over_valid(score: Float[Tensor, "batch token"], features: Features) -> Float[Tensor, ""]:
    """Mean of a score per token of the stem over the tokens that hold data.

    Only encoders whose tokens are the stem's can have tokens that are not valid.
    """
    if is_every_token(features.valid):
        return score.mean()
    weight = features.valid.to(score.dtype)
    return torch.where(features.valid, score, 0).sum() / weight.sum()
