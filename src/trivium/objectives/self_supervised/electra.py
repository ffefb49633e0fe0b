"""ELECTRA: tell the tokens of a text from those that a small generator put in."""

from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.encoders.layers import is_every_token
from trivium.encoders.transformer import Transformer, init_linear
from trivium.objectives.self_supervised.bert import TokenPredictor, mean_nats
from trivium.objectives.self_supervised.gpt import embedding_stem
from trivium.transforms.masking import TokenMasking
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, View, Views


class Corrupted(NamedTuple):
    """Texts with sampled tokens, where they differ from the originals, and the generator's loss."""

    ids: Int64[Tensor, "batch token"]
    replaced: Bool[Tensor, "batch token"]
    loss: Float[Tensor, ""]


@final
class ELECTRA(Objective):
    r"""Detect replaced tokens (Clark et al. 2020).

    arXiv 2003.10555, section 2: a small generator predicts `ratio` of the tokens behind `[MASK]`; a
    token sampled from it replaces each; the encoder says of *every* token whether it is the
    original. $L = L_{MLM} + \lambda L_{Disc}$, lambda = `weight`, $L_{Disc}$ the binary
    cross-entropy over all valid tokens. A sampled token that equals the original counts as
    original. The generator shares the encoder's embeddings (section 3.2); a linear map leads to its
    own trunk of `generator_width`. References: github.com/google-research/electra; transformers'
    `ElectraForPreTraining`.

    Terms: `loss`, `generator_loss`, `discriminator_loss` (nats per token), `accuracy` (of the
    discriminator, in [0, 1]), `replaced` (share of the tokens that are not the original).
    """

    title: ClassVar[str] = "ELECTRA"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(tokens=True, target=True, modalities=("text",), causal=False)

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,
        *,
        ratio: float,
        weight: float,
        generator_width: int,
        generator_depth: int,
        generator_num_heads: int,
    ) -> None:
        super().__init__()
        self.encoder, self.stem, self.weight = encoder, embedding_stem(encoder, "electra"), weight
        self.vocabulary, width = data.vocabulary, encoder.token_width
        self.masking = TokenMasking(ratio, mask=1.0, random=0.0)
        self.enter = nn.Linear(width, generator_width)
        self.generator = Transformer(
            generator_width,
            generator_depth,
            generator_num_heads,
            init="xavier",
            rotary=self.stem.rotary,
        )
        self.predictor = TokenPredictor(generator_width, self.stem.embedding)
        self.detector = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        for linear in (self.enter, *self.detector):
            init_linear(linear, "xavier")

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        view = views.views[0]
        corrupted = self.corrupt(view)
        scores = self.detector(self.encoder(corrupted.ids, view.valid).tokens).squeeze(-1).float()
        counted = torch.ones_like(corrupted.replaced) if view.valid is None else view.valid
        target = corrupted.replaced.float()
        each = F.binary_cross_entropy_with_logits(scores, target, reduction="none")
        num = counted.sum()
        loss = each.masked_fill(~counted, 0).sum() / num
        right = ((scores.detach() > 0) == corrupted.replaced) & counted
        return {
            "loss": corrupted.loss + self.weight * loss,
            "generator_loss": corrupted.loss.detach(),
            "discriminator_loss": loss.detach(),
            "accuracy": right.sum() / num,
            "replaced": corrupted.replaced.sum() / num,
        }

    def corrupt(self, view: View) -> Corrupted:
        """Let the generator fill in what is hidden, by sampling."""
        masked = self.masking(view.values, view.valid, self.vocabulary)
        values, valid, places = self.encoder.embed(masked.ids, view.valid)
        mask = None if is_every_token(valid) else valid
        tokens = self.generator(self.enter(values), mask, places)[masked.chosen]
        scores = self.predictor(tokens, self.stem.embedding).float()
        sampled = torch.multinomial(scores.detach().softmax(-1), 1).squeeze(1)
        ids = view.values.masked_scatter(masked.chosen, sampled)
        loss = mean_nats(scores, view.values[masked.chosen])
        return Corrupted(ids, ids != view.values, loss)

    @torch.no_grad()
    def pictures(self, views: Views) -> dict[str, Int64[Tensor, "batch token"]]:
        """The texts, and what the generator made of them."""
        view = views.views[0]
        return {"text": view.values, "corrupted": self.corrupt(view).ids}
