"""BERT: predict the hidden tokens of a text from both sides."""

import math
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.objectives.self_supervised.gpt import embedding_stem
from trivium.transforms.masking import TokenMasking
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, View, Views


class TokenPredictor(nn.Module):
    """A dense layer, GELU and LayerNorm, then the tied embeddings with a bias of their own.

    The head of BERT's masked language model (its reference code, `get_masked_lm_output`).
    """

    def __init__(self, width: int, embedding: nn.Embedding) -> None:
        super().__init__()
        self.dense = nn.Linear(width, embedding.embedding_dim)
        self.norm = nn.LayerNorm(embedding.embedding_dim, eps=1e-6)
        self.bias = nn.Parameter(torch.zeros(embedding.num_embeddings))

    def forward(
        self, tokens: Float[Tensor, "*batch channel"], embedding: nn.Embedding
    ) -> Float[Tensor, "*batch id"]:
        """Scores of every id."""
        hidden = self.norm(F.gelu(self.dense(tokens)))
        return F.linear(hidden, embedding.weight, self.bias)


def mean_nats(
    scores: Float[Tensor, "token id"], target: Int64[Tensor, " token"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy, 0 over no token at all (a batch in which no text has a word)."""
    return F.cross_entropy(scores, target, reduction="sum") / max(1, len(target))


@final
class BERT(Objective):
    r"""Predict a random share of a text's tokens from all the others (Devlin et al. 2018).

    arXiv 1810.04805, section 3.1, task 1: of each text `ratio` of the tokens (one at least) is
    chosen anew in each step; 80 % of them become `[MASK]`, 10 % a random token, 10 % stay. $L =
    -\frac{1}{|M|} \sum_{(i,t) \in M} \log p(x_{it} | \tilde{x}_i)$ over the chosen tokens M. There
    is no next-sentence task (RoBERTa, 1907.11692). Reference: transformers' `BertForMaskedLM`; here
    the trunk is pre-norm.

    Terms: `loss` (nats per chosen token), `accuracy` (on the chosen tokens, in [0, 1]).
    """

    title: ClassVar[str] = "BERT"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(tokens=True, target=True, modalities=("text",), causal=False)

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,
        *,
        ratio: float,
        mask: float,
        random: float,
    ) -> None:
        super().__init__()
        self.encoder, self.stem = encoder, embedding_stem(encoder, "bert")
        self.vocabulary = data.vocabulary
        self.masking = TokenMasking(ratio, mask=mask, random=random)
        self.predictor = TokenPredictor(encoder.token_width, self.stem.embedding)

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        view = views.views[0]
        masked = self.masking(view.values, view.valid, self.vocabulary)
        tokens = self.encoder(masked.ids, view.valid).tokens[masked.chosen]
        scores, target = self.predictor(tokens, self.stem.embedding), view.values[masked.chosen]
        accuracy = (scores.detach().argmax(-1) == target).sum() / max(1, len(target))
        return {"loss": mean_nats(scores.float(), target), "accuracy": accuracy}

    @torch.no_grad()
    def pictures(self, views: Views) -> dict[str, Int64[Tensor, "batch token"]]:
        """The texts, what is seen of them, and the chosen tokens filled in."""
        view: View = views.views[0]
        masked = self.masking(view.values, view.valid, self.vocabulary)
        scores = self.predictor(self.encoder(masked.ids, view.valid).tokens, self.stem.embedding)
        filled = torch.where(masked.chosen, scores.argmax(-1), view.values)
        return {"text": view.values, "masked": masked.ids, "filled": filled}

    def plateau(self, batch_size: int) -> float:  # noqa: ARG002
        """Ln V: the loss of a uniform guess."""
        return math.log(self.vocabulary)
