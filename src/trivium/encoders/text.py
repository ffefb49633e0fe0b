"""The text transformer: bidirectional as BERT, or causal as GPT."""

from typing import ClassVar

from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from trivium.encoders.pooling import TextPooling, pool_text
from trivium.encoders.tokens import TextPositions, TokenStem
from trivium.encoders.transformer import Init, Transformer
from trivium.encoders.validity import every_token, is_every_token
from trivium.types import DataSpec, Encoder, Features, Modality, Tokens


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
