"""Texts: what predicting one means, how ids become tokens, and the transformer over them."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.encoders.layers import TextPooling, every_token, is_every_token, pool_text, sincos_2d
from trivium.encoders.transformer import Init, Transformer
from trivium.types import DataSpec, Encoder, Features, Modality, Stem, Tokens

TextPositions = Literal["learned", "rotary", "sincos"]


class Ids(Stem):
    """Ids as they are: predicted as one of the vocabulary, with cross-entropy.

    It has no parameters: it is the stem of encoders that embed ids themselves and yet should be
    able to predict their input.

    Args:
        data: A text dataset's facts.

    Raises:
        ValueError: If the data are not texts.
    """

    likelihood: ClassVar[Literal["gaussian", "categorical"]] = "categorical"

    def __init__(self, data: DataSpec):
        super().__init__()
        self.num_tokens = text_length(data)
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

    def render(self, prediction: Shaped[Tensor, "batch token *id"]) -> Int64[Tensor, "batch token"]:
        """The most likely ids of logits; ids stay as they are."""
        return prediction.argmax(-1) if prediction.ndim == 3 else prediction


class TokenStem(Ids):
    """Ids embedded in a table, with positions.

    Embeddings and learned positions start as normals of standard deviation 0.02 (BERT,
    1810.04805; GPT-2). Texts may be shorter than the longest that is foreseen.

    Args:
        data: A text dataset's facts.
        width: Channels of the tokens.
        positions: Learned ones, fixed sine-cosine ones, or `rotary`: none here, the attention
            knows the places.
    """

    positions: Tensor
    placeless: bool
    """Whether the tokens do not say where they stand, so that attention has to know (rotary)."""

    def __init__(self, data: DataSpec, *, width: int, positions: TextPositions = "learned"):
        super().__init__(data)
        self.embedding = nn.Embedding(data.vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.placeless = positions == "rotary"
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


def text_length(data: DataSpec) -> int:
    """The most tokens of a text dataset's samples.

    Raises:
        ValueError: If the dataset is of another modality.
    """
    if data.modality != "text" or len(data.shape) != 1:
        raise ValueError(
            f"this encoder takes text, but {data.name!r} is {data.modality} of shape "
            f"{data.shape}: choose an encoder for {data.modality} or a text dataset."
        )
    return data.shape[0]


class TextTransformer(Encoder):
    """Token embeddings, positions, and the trunk of the ViT: pre-norm blocks, final LayerNorm.

    Padding is never attended to and never averaged.

    Args:
        data: A text dataset's facts.
        name: The encoder's yaml name.
        width: Channels of the tokens; a multiple of `num_heads`.
        depth: Number of blocks.
        num_heads: Attention heads of each block.
        mlp_ratio: Hidden channels of each MLP over `width`.
        positions: Learned, fixed sine-cosine, or rotary (2104.09864).
        pooling: `mean` over the valid tokens, `cls` (the begin of the text) or the `last` token.
        dropout: Share of values dropped behind the embedding and behind each branch of a block.
        drop_path: Stochastic depth of the last block; it rises linearly from 0.
        causal: Whether a token sees only itself and the tokens before it.
        init: How the trunk's weights start, see `Transformer`.

    Raises:
        ValueError: If the data are not texts, or a size does not divide as it must.
    """

    contextual: ClassVar[bool] = True
    modality: ClassVar[Modality] = "text"

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
        self.name = name
        self.arguments = {
            "data": data.plain(),
            "name": name,
            "width": width,
            "depth": depth,
            "num_heads": num_heads,
            "mlp_ratio": mlp_ratio,
            "positions": positions,
            "pooling": pooling,
            "dropout": dropout,
            "drop_path": drop_path,
            "causal": causal,
            "init": init,
        }
        self.pooling: TextPooling = pooling
        self.causal = causal
        self.width = self.token_width = width
        self.stem: TokenStem = TokenStem(data, width=width, positions=positions)
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

    def forward(
        self,
        values: Int64[Tensor, "batch token"],
        valid: Bool[Tensor, "batch token"] | None = None,
    ) -> Features:
        """Encode ids; `valid` None means that every token counts."""
        return self.contextualise(self.embed(values, valid))

    def embed(
        self,
        values: Int64[Tensor, "batch token"],
        valid: Bool[Tensor, "batch token"] | None = None,
    ) -> Tokens:
        """Ids as tokens with positions, before any context."""
        tokens = self.stem(values)
        return Tokens(tokens, every_token(tokens) if valid is None else valid)

    def contextualise(self, tokens: Tokens) -> Features:
        """Run trunk and pooling over all tokens, or over any subset of them."""
        values, valid, places = tokens
        mask = None if is_every_token(valid) else valid
        encoded = self.trunk(self.dropout(values), mask, places)
        return Features(encoded, pool_text(self.pooling, encoded, mask), valid)

    def layers(self, tokens: Tokens) -> tuple[Float[Tensor, "batch token channel"], ...]:
        """The tokens as each block returns them, first to last, without the LayerNorm."""
        values, valid, places = tokens
        mask = None if is_every_token(valid) else valid
        outputs: tuple[Tensor, ...] = self.trunk.layers(self.dropout(values), mask, places)
        return outputs
