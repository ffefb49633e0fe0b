"""MAE: rebuild the input from the few patches or tokens that the encoder was shown."""

from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from trivium.encoders.layers import is_every_token, sincos_2d
from trivium.encoders.transformer import Transformer, init_linear
from trivium.objectives.masking import (
    insert_mask_tokens,
    keep_random,
    masked_distance,
    reconstruct,
)
from trivium.transforms.masking import Mask, RandomMasking
from trivium.types import (
    DataSpec,
    Encoder,
    Features,
    Needs,
    Objective,
    Paradigm,
    Terms,
    View,
    Views,
)


@final
class MAE(Objective):
    r"""Predict the masked tokens of a sample from its visible ones (He et al. 2021).

    arXiv 2111.06377, sections 3 and 4.1: $L = \frac{1}{|M|} \sum_{(i,t) \in M}
    d(\hat{x}_{it}, x_{it})$ over the masked tokens M, d the stem's distance and x the target,
    standardised per token if `normalise`. The encoder sees visible tokens only; the decoder, which
    starts as a Xavier uniform, sees them and mask tokens, with sin-cos positions. Reference:
    github.com/facebookresearch/mae, `models_mae.py`; here a cls token stays in the encoder.

    Terms: `loss` (mean over the masked tokens of the stem's distance).
    """

    title: ClassVar[str] = "MAE"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(tokens=True, target=True)
    positions: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        ratio: float,
        normalise: bool,
        decoder_width: int,
        decoder_depth: int,
        decoder_num_heads: int,
    ) -> None:
        super().__init__()
        self.encoder, self.normalise, stem = encoder, normalise, encoder.stem
        self.masking = RandomMasking(ratio)
        self.enter = nn.Linear(encoder.token_width, decoder_width)
        self.mask_token = nn.Parameter(torch.randn(decoder_width) * 0.02)
        self.register_buffer("positions", sincos_2d(decoder_width, stem.grid), persistent=False)
        self.decoder = Transformer(decoder_width, decoder_depth, decoder_num_heads, init="xavier")
        self.predict = nn.Linear(decoder_width, stem.target_width)
        for linear in (self.enter, self.predict):
            init_linear(linear, "xavier")

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        view = views.views[0]
        prediction, mask = self.rebuild(view)
        return {"loss": self.score(prediction, view, mask)}

    def rebuild(self, view: View) -> tuple[Float[Tensor, "batch token target_width"], Mask]:
        """Predictions of all tokens from the visible ones, and the mask of the others."""
        tokens = self.encoder.embed(view.values, view.valid)
        visible, mask = keep_random(self.masking, tokens)
        return self.decode(self.encoder.contextualise(visible), mask, tokens.valid), mask

    def decode(
        self, features: Features, mask: Mask, valid: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token target_width"]:
        """Predict all tokens from the visible ones at their indices, among mask tokens."""
        tokens = insert_mask_tokens(self.enter(features.tokens), mask, self.mask_token)
        tokens = tokens + self.positions[: tokens.shape[1]]
        prediction: Tensor = self.predict(
            self.decoder(tokens, None if is_every_token(valid) else valid)
        )
        return prediction.float()

    def score(self, prediction: Tensor, view: View, mask: Mask) -> Float[Tensor, ""]:
        """Mean distance over the masked tokens; padding never is one."""
        return masked_distance(
            self.encoder.stem, prediction, view.values, mask, normalise=self.normalise
        )

    @torch.no_grad()
    def pictures(self, views: Views) -> dict[str, Shaped[Tensor, "batch ..."]]:
        """The first view, what the encoder sees of it, and the masked tokens filled in.

        With `normalise` the predictions borrow each masked token's true mean and deviation.
        """
        view, normalise = views.views[0], self.normalise
        prediction, mask = self.rebuild(view)
        return reconstruct(
            self.encoder.stem, view.values, mask.mask, prediction, normalise=normalise
        )
