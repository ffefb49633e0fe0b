"""Texts: what predicting one means, how ids become tokens, and the transformer over them."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.encoders.layers import TextPooling, pool_text, sample_shape, sincos_2d
from trivium.encoders.transformer import Init, Transformer, TransformerEncoder
from trivium.types import DataSpec, Modality, Stem, Tokens

TextPositions = Literal["learned", "rotary", "sincos"]


class Ids(Stem):
    """Ids predicted as one of the vocabulary, with cross-entropy; no parameters.

    The stem of encoders that embed ids themselves.

    Raises:
        ValueError: The data are not texts.
    """

    likelihood: ClassVar[Literal["gaussian", "categorical"]] = "categorical"

    def __init__(self, data: DataSpec):
        super().__init__()
        self.num_tokens = sample_shape(data, "text")[0]
        self.grid = (1, self.num_tokens)
        self.target_width = data.vocabulary

    def length(self, values: Int64[Tensor, "batch token"]) -> int:
        """Tokens of a batch of texts."""
        return values.shape[1]

    def target(
        self,
        values: Int64[Tensor, "batch token"],
        *,
        normalise: bool = False,  # noqa: ARG002
    ) -> Int64[Tensor, "batch token"]:
        """The ids; there is nothing to normalise."""
        return values

    def distance(
        self,
        prediction: Float[Tensor, "batch token id"],
        target: Int64[Tensor, "batch token"],
    ) -> Float[Tensor, "batch token"]:
        """Cross-entropy of the logits, in nats."""
        flat = F.cross_entropy(prediction.flatten(0, 1).float(), target.flatten(), reduction="none")
        return flat.view_as(target)

    def valid_tokens(self, valid: Bool[Tensor, "batch token"]) -> Bool[Tensor, "batch token"]:
        """Which tokens hold data: ids are tokens."""
        return valid

    def render(self, prediction: Shaped[Tensor, "batch token *id"]) -> Int64[Tensor, "batch token"]:
        """The most likely ids of logits; ids stay as they are."""
        return prediction.argmax(-1) if prediction.ndim == 3 else prediction


class TokenStem(Ids):
    """Ids embedded in a table, with positions.

    Embeddings and learned positions start as normals of standard deviation 0.02 (BERT,
    1810.04805; GPT-2). Texts may be shorter than the data's longest. Of `rotary` positions nothing
    is added here: attention uses the token indices.
    """

    positions: Tensor
    rotary: bool
    """Whether positions are left to the attention."""

    def __init__(self, data: DataSpec, *, width: int, positions: TextPositions = "learned"):
        super().__init__(data)
        self.embedding = nn.Embedding(data.vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.rotary = positions == "rotary"
        if positions == "learned":
            self.positions = nn.Parameter(torch.empty(self.num_tokens, width))
            nn.init.normal_(self.positions, std=0.02)
        elif positions in ("rotary", "sincos"):
            fixed = torch.zeros(self.num_tokens, width)
            if positions == "sincos":
                fixed = sincos_2d(2 * width, self.grid)[:, :width] * 0.02
            self.register_buffer("positions", fixed, persistent=False)
        else:
            raise ValueError(f"positions is {positions!r}; choose learned, rotary or sincos.")

    def forward(self, ids: Int64[Tensor, "batch token"]) -> Float[Tensor, "batch token channel"]:
        """Ids to tokens with positions.

        Raises:
            ValueError: If the texts are longer than was foreseen.
        """
        length = ids.shape[1]
        if length > self.num_tokens:
            raise ValueError(
                f"the texts have {length} tokens, the encoder was built for {self.num_tokens} at "
                "most: cut them, or raise data.spec.shape and train again."
            )
        embedded: Tensor = self.embedding(ids)
        return embedded + self.positions[:length]


class TextTransformer(TransformerEncoder):
    """Token embeddings, positions, and a `Transformer`; padding is never attended to nor averaged.

    Args:
        data: A text dataset's spec.
        name: The encoder's yaml name.
        width: Channels of the tokens; a multiple of `num_heads`.
        depth, num_heads, mlp_ratio, drop_path, causal, init: Of the trunk, see `Transformer`.
        positions: Learned, fixed sine-cosine, or rotary (2104.09864).
        pooling: `mean` over the valid tokens, `cls` (the begin of the text) or the `last` token.
        dropout: Share of values dropped behind the embedding and behind each branch of a block.

    Raises:
        ValueError: The data are not texts, or a size does not divide as it must.
    """

    modality: ClassVar[Modality] = "text"
    stem: TokenStem

    def __init__(
        self,
        data: DataSpec,
        *,
        name: str,
        width: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        positions: TextPositions = "learned",
        pooling: TextPooling = "mean",
        dropout: float = 0.0,
        drop_path: float = 0.0,
        causal: bool = False,
        init: Init = "normal",
    ):
        super().__init__()
        if pooling not in ("mean", "cls", "last"):
            raise ValueError(f"pooling is {pooling!r}; choose mean, cls or last.")
        self.keep_arguments(locals())
        self.pooling: TextPooling = pooling
        self.causal = causal
        self.width = self.token_width = width
        self.stem = TokenStem(data, width=width, positions=positions)
        self.dropout = nn.Dropout(dropout)
        self.trunk = Transformer(
            width,
            depth,
            num_heads,
            mlp_ratio=mlp_ratio,
            causal=causal,
            drop_path=drop_path,
            init=init,
            dropout=dropout,
            rotary=positions == "rotary",
        )

    def _entered(self, tokens: Tokens) -> tuple[Tensor, Tensor | None, Tensor | None]:
        values, mask, indices = super()._entered(tokens)
        return self.dropout(values), mask, indices

    def _pool(self, encoded: Tensor, mask: Tensor | None) -> Tensor:
        return pool_text(self.pooling, encoded, mask)
