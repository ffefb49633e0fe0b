"""MAE: rebuild the input from the few patches or tokens that the encoder was shown."""

from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from trivium.encoders.positions import sincos_2d
from trivium.encoders.transformer import Transformer, init_linear
from trivium.encoders.validity import is_every_token
from trivium.types import (
    MASK,
    DataSpec,
    Encoder,
    Features,
    Needs,
    Objective,
    Paradigm,
    Terms,
    Tokens,
    View,
    Views,
)
from trivium.views.masking import Mask, RandomMasking, gather_tokens


@final
class MAE(Objective):
    r"""Predict the hidden tokens of a sample from its visible ones (He et al. 2021).

    arXiv 2111.06377, sections 3 and 4.1: $L = \frac{1}{|M|} \sum_{(i,t) \in M}
    d(\hat{x}_{it}, x_{it})$ over the hidden tokens M alone, d being the stem's distance and x
    the target, standardised per token if `normalise`. The encoder sees visible tokens only; the
    decoder sees them and mask tokens, with sin-cos positions.
    Reference: github.com/facebookresearch/mae, `models_mae.py`; here the cls token, if any,
    stays in the encoder. The decoder starts as Xavier uniform, as there.

    Terms: `loss` (mean over the hidden tokens of the stem's distance).
    """

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
        tokens = self.encoder.embed(view.values, view.valid)
        visible, mask = self.hide(tokens)
        prediction = self.decode(self.encoder.contextualise(visible), mask, tokens.valid)
        return {"loss": self.score(prediction, view, mask)}

    def hide(self, tokens: Tokens) -> tuple[Tokens, Mask]:
        """Keep a random subset of every sample's tokens."""
        values, valid, _ = tokens
        every = is_every_token(valid)
        mask: Mask = self.masking(
            len(values), values.shape[1], values.device, valid=None if every else valid
        )
        shown = valid[:, : mask.keep.shape[1]]
        if not every:
            shown = (valid & ~mask.mask).gather(1, mask.keep)
        return Tokens(gather_tokens(values, mask.keep), shown, mask.keep), mask

    def decode(
        self, features: Features, mask: Mask, valid: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token target_width"]:
        """Put the encoded tokens back in place among mask tokens, and predict all of them."""
        seen = self.enter(features.tokens)
        place = mask.keep.unsqueeze(-1).expand_as(seen)
        blank = self.mask_token.to(seen.dtype).expand(*mask.mask.shape, -1)
        tokens = blank.scatter(1, place, seen) + self.positions[: mask.mask.shape[1]]
        decoded = self.decoder(tokens, None if is_every_token(valid) else valid)
        prediction: Tensor = self.predict(decoded)
        return prediction.float()

    def score(self, prediction: Tensor, view: View, mask: Mask) -> Float[Tensor, ""]:
        """Mean distance over the hidden tokens; padding never is one."""
        stem = self.encoder.stem
        target = stem.target(view.values, normalise=self.normalise)
        hidden = mask.mask.float()
        return (stem.distance(prediction, target) * hidden).sum() / hidden.sum().clamp(min=1)

    @torch.no_grad()
    def pictures(self, views: Views) -> dict[str, Shaped[Tensor, "batch ..."]]:
        """The first view, what the encoder sees of it, and the hidden tokens filled in.

        With `normalise` the predictions borrow each hidden token's true mean and deviation.
        """
        view, stem = views.views[0], self.encoder.stem
        tokens = self.encoder.embed(view.values, view.valid)
        visible, mask = self.hide(tokens)
        prediction = self.decode(self.encoder.contextualise(visible), mask, tokens.valid)
        target = stem.target(view.values)
        if stem.likelihood == "categorical":
            filled = torch.where(mask.mask, stem.render(prediction), target)
            return {"text": target, "masked": target.masked_fill(mask.mask, MASK), "filled": filled}
        if self.normalise:
            variance, mean = torch.var_mean(target, dim=-1, keepdim=True)
            prediction = prediction * (variance + 1e-6).sqrt() + mean
        hidden = mask.mask.bool().unsqueeze(-1)
        masked, filled = (
            target.masked_fill(hidden, stem.blank),
            torch.where(hidden, prediction, target),
        )
        rows = {"input": target, "masked": masked, "filled": filled}
        return {name: stem.render(row) for name, row in rows.items()}
