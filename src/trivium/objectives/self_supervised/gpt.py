"""GPT: predict the next token of a text."""

import math
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from trivium.encoders.text import TokenStem
from trivium.types import (
    BOS,
    EOS,
    MASK,
    PAD,
    DataSpec,
    Encoder,
    Needs,
    Objective,
    Paradigm,
    Terms,
    View,
    Views,
)


def nucleus(
    logits: Float[Tensor, "batch id"], *, temperature: float, top_p: float
) -> Int64[Tensor, " batch"]:
    """Draw an id from the most likely ids that hold a share `top_p` of the probability.

    Nucleus sampling (1904.09751, section 3.1) of the softmax at the temperature; a `top_p` near 0
    always takes the most likely one.

    Raises:
        ValueError: The temperature is not positive, or `top_p` is outside (0, 1].
    """
    if not temperature > 0 or not 0 < top_p <= 1:
        raise ValueError(
            f"sampling needs a temperature above 0 and a top_p in (0, 1], got {temperature} and "
            f"{top_p}"
        )
    shares, ids = (logits.float() / temperature).softmax(-1).sort(-1, descending=True)
    before = shares.cumsum(-1) - shares
    kept = shares.masked_fill((before >= top_p) & (before > 0), 0)
    return ids.gather(1, torch.multinomial(kept, 1)).squeeze(1)


NUM_PROMPT = 4
NUM_CONTINUATIONS = 2


@final
class GPT(Objective):
    r"""Maximise the likelihood of each token given those before it (Radford et al. 2018, 2019).

    "Improving Language Understanding by Generative Pre-Training", eq. 1, and "Language Models are
    Unsupervised Multitask Learners", eq. 1: $L = -\frac{1}{N} \sum_{i,t} \log p(x_{it} | x_{i,<t})$
    over the N predicted tokens; logits are products with the token embeddings (tied, without bias).
    Texts are joined into one stream and cut into blocks. Reference: transformers'
    `GPT2LMHeadModel`. `temperature` and `top_p` are of the continuations that are shown, not of the
    training.

    Terms: `loss` (nats per token), `accuracy` (the most likely token is the next, in [0, 1]).
    """

    title: ClassVar[str] = "GPT"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(
        tokens=True, target=True, modalities=("text",), causal=True, packed=True
    )

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        temperature: float,
        top_p: float,
    ) -> None:
        super().__init__()
        self.encoder, self.stem = encoder, embedding_stem(encoder, "gpt")
        self.temperature, self.top_p = temperature, top_p

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        view = views.views[0]
        logits, target, counted = self.predict(view)
        nats = self.stem.distance(logits, target).masked_fill(~counted, 0)
        right = (logits.detach().argmax(-1) == target) & counted
        num = counted.sum()
        return {"loss": nats.sum() / num, "accuracy": right.sum() / num}

    def predict(
        self, view: View
    ) -> tuple[
        Float[Tensor, "batch token id"], Int64[Tensor, "batch token"], Bool[Tensor, "batch token"]
    ]:
        """Logits for every token but the first, these tokens, and which of them are no padding."""
        ids, valid = view
        seen = None if valid is None else valid[:, :-1]
        tokens = self.encoder.embed(ids[:, :-1], seen)
        target = ids[:, 1:]
        counted = torch.ones_like(target, dtype=torch.bool) if valid is None else valid[:, 1:]
        return self.logits(self.encoder.contextualise(tokens).tokens), target, counted

    def logits(
        self, tokens: Float[Tensor, "batch token channel"]
    ) -> Float[Tensor, "batch token id"]:
        """Scores of the next token, by the tied embeddings."""
        return F.linear(tokens, self.stem.embedding.weight)

    def surprisal(self, view: View) -> Float[Tensor, "batch token"]:
        """-ln p of each token given those before it; 0 for the first and for padding."""
        logits, target, counted = self.predict(view)
        return F.pad(self.stem.distance(logits, target).masked_fill(~counted, 0), (1, 0))

    @torch.no_grad()
    def pictures(self, views: Views) -> dict[str, Int64[Tensor, "batch token"]]:
        """The texts, their first tokens, and two ways in which the model goes on from these."""
        ids, valid = views.views[0]
        shortest = ids.shape[1] if valid is None else int(valid.sum(1).min())
        prompt = ids[:, : max(1, min(NUM_PROMPT, shortest - 1))]
        rows = {"text": ids, "prompt": prompt}
        for number in range(1, NUM_CONTINUATIONS + 1):
            rows[f"continuation {number}"] = self.generate(prompt, self.stem.num_tokens)
        return rows

    @torch.no_grad()
    def generate(
        self, prompt: Int64[Tensor, "batch token"], length: int
    ) -> Int64[Tensor, "batch length"]:
        """Go on from a prompt, in eval mode, until the end of the text or `length` tokens.

        A prompt whose last token is the end of a text is not gone on with.
        """
        was_training = self.training
        self.eval()
        ids, ended = prompt, prompt[:, -1] == EOS
        forbidden = torch.tensor([PAD, BOS, MASK], device=prompt.device)
        while ids.shape[1] < length:
            tokens = self.encoder.contextualise(self.encoder.embed(ids)).tokens[:, -1:]
            scores = self.logits(tokens)[:, 0].float().index_fill(1, forbidden, -math.inf)
            drawn = nucleus(scores, temperature=self.temperature, top_p=self.top_p)
            drawn = drawn.masked_fill(ended, PAD)
            ids, ended = torch.cat([ids, drawn[:, None]], 1), ended | (drawn == EOS)
        self.train(was_training)
        return ids

    def plateau(self, batch_size: int) -> float:  # noqa: ARG002
        """Ln V: the loss of a uniform guess."""
        return math.log(self.stem.target_width)


def embedding_stem(encoder: Encoder, objective: str) -> TokenStem:
    """The stem of an encoder whose embeddings can be tied to a prediction.

    Raises:
        ValueError: the encoder has no table of embeddings of its own.
    """
    if not isinstance(encoder.stem, TokenStem):
        raise ValueError(
            f"{objective} predicts by the encoder's own embeddings, which {encoder.name} does not "
            "share: choose an encoder such as text_nano."
        )
    return encoder.stem
