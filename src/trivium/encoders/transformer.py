"""The transformer trunk that images, text and audio share."""

import functools
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor, nn

from trivium.encoders.attention import Attention
from trivium.encoders.layers import every_token, is_every_token, mean_pool
from trivium.types import Encoder, Features, Modality, Tokens

Init = Literal["normal", "xavier", "gpt2"]


class Transformer(nn.Module):
    """Pre-norm transformer blocks (2010.11929, eq. 2-3) and a final LayerNorm.

    Args:
        width: Channels of the tokens.
        depth: Number of blocks.
        num_heads: Attention heads of each block.
        mlp_ratio: Hidden channels of the MLP over `width`.
        causal: Whether a token sees only itself and the tokens before it.
        drop_path: Stochastic depth (1603.09382) of the last block; it rises linearly from 0.
        init: How weights start (biases are zero): `normal` of standard deviation 0.02, cut at
            +-2 as in timm; `xavier` uniform as in MAE (2111.06377, appendix A.1); or `gpt2`: normal
            of 0.02, before the residual stream divided by sqrt(2 depth) (GPT-2, section 2.3).
        dropout: Share of the values that is dropped (1207.0580) behind each branch of a block.
        rotary: Whether attention turns queries and keys by their positions.

    Raises:
        ValueError: `init` is none of the choices, or `width` does not split into heads.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        num_heads: int,
        *,
        mlp_ratio: float = 4.0,
        causal: bool = False,
        drop_path: float = 0.0,
        init: Init = "normal",
        dropout: float = 0.0,
        rotary: bool = False,
    ):
        super().__init__()
        if init not in ("normal", "xavier", "gpt2"):
            raise ValueError(f"init is {init!r}; choose normal, xavier or gpt2.")
        rates = [drop_path * index / max(depth - 1, 1) for index in range(depth)]
        same: dict[str, Any] = {
            "mlp_ratio": mlp_ratio,
            "causal": causal,
            "dropout": dropout,
            "rotary": rotary,
        }
        self.blocks = nn.ModuleList(
            Block(width, num_heads, drop_path=rate, **same) for rate in rates
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.apply(functools.partial(init_linear, init=init))
        if init == "gpt2":
            for name, parameter in self.named_parameters():
                if name.endswith(("attention.projection.weight", "mlp.2.weight")):
                    nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * depth))

    def forward(
        self,
        tokens: Float[Tensor, "batch token channel"],
        valid: Bool[Tensor, "batch token"] | None = None,
        indices: Int64[Tensor, "batch token"] | None = None,
    ) -> Float[Tensor, "batch token channel"]:
        """Contextualise tokens; `valid` None means that all of them are valid."""
        for block in self.blocks:
            tokens = block(tokens, valid, indices)
        normalised: Tensor = self.norm(tokens)
        return normalised

    def layers(
        self,
        tokens: Float[Tensor, "batch token channel"],
        valid: Bool[Tensor, "batch token"] | None = None,
        indices: Int64[Tensor, "batch token"] | None = None,
    ) -> tuple[Float[Tensor, "batch token channel"], ...]:
        """What each block returns, first to last; the final LayerNorm is not applied."""
        outputs: list[Tensor] = []
        for block in self.blocks:
            tokens = block(tokens, valid, indices)
            outputs.append(tokens)
        return tuple(outputs)


class Block(nn.Module):
    """One pre-norm block: attention and MLP, each with a residual; arguments as `Transformer`."""

    def __init__(
        self,
        width: int,
        num_heads: int,
        *,
        mlp_ratio: float = 4.0,
        causal: bool = False,
        drop_path: float = 0.0,
        dropout: float = 0.0,
        rotary: bool = False,
    ):
        super().__init__()
        hidden = int(width * mlp_ratio)
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, num_heads, causal=causal, rotary=rotary)
        self.mlp_norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.drop_path = _stochastic_depth(drop_path)
        if dropout > 0:
            self.drop_path = nn.Sequential(nn.Dropout(dropout), self.drop_path)

    def forward(
        self,
        tokens: Float[Tensor, "batch token channel"],
        valid: Bool[Tensor, "batch token"] | None = None,
        indices: Int64[Tensor, "batch token"] | None = None,
    ) -> Float[Tensor, "batch token channel"]:
        """Contextualise tokens; `valid` None means that all of them are valid."""
        mixed = self.attention(self.attention_norm(tokens), valid, indices)
        tokens = tokens + self.drop_path(mixed)
        updated: Tensor = tokens + self.drop_path(self.mlp(self.mlp_norm(tokens)))
        return updated


class TransformerEncoder(Encoder):
    """Encoders whose stem makes tokens for a `Transformer`."""

    contextual: ClassVar[bool] = True
    stem: Any
    trunk: Transformer

    def forward(
        self, values: Shaped[Tensor, "batch ..."], valid: Bool[Tensor, "batch length"] | None = None
    ) -> Features:
        """Encode a batch; `valid` None means that everything counts."""
        return self.contextualise(self.embed(values, valid))

    def embed(
        self, values: Shaped[Tensor, "batch ..."], valid: Bool[Tensor, "batch length"] | None = None
    ) -> Tokens:
        """Tokens with positions, before any context."""
        tokens = self.stem(values)
        return Tokens(
            tokens, every_token(tokens) if valid is None else self.stem.valid_tokens(valid)
        )

    def contextualise(self, tokens: Tokens) -> Features:
        """Run trunk and pooling over all tokens, or over any subset of them."""
        values, mask, indices = self._entered(tokens)
        encoded = self.trunk(values, mask, indices)
        return Features(encoded, self._pool(encoded, mask), tokens.valid)

    def layers(self, tokens: Tokens) -> tuple[Float[Tensor, "batch token channel"], ...]:
        """The tokens as each block returns them, first to last, without the LayerNorm."""
        return self.trunk.layers(*self._entered(tokens))

    def _entered(self, tokens: Tokens) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """What enters the trunk: values, the mask (None if every token is valid), and indices."""
        mask = None if is_every_token(tokens.valid) else tokens.valid
        return tokens.values, mask, tokens.indices

    def _pool(self, encoded: Tensor, mask: Tensor | None) -> Tensor:
        return mean_pool(encoded, mask)


def init_linear(module: nn.Module, init: Init = "normal") -> None:
    """Start a Linear's weight as `Transformer` says and zero its bias; leave others alone."""
    if not isinstance(module, nn.Linear):
        return
    if init == "normal":
        nn.init.trunc_normal_(module.weight, std=0.02)
    elif init == "gpt2":
        nn.init.normal_(module.weight, std=0.02)
    else:
        nn.init.xavier_uniform_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def _stochastic_depth(rate: float) -> nn.Module:
    if rate == 0:
        return nn.Identity()
    from torchvision.ops import StochasticDepth

    module: nn.Module = StochasticDepth(rate, mode="row")
    return module


class CrossAttention(nn.Module):
    """Multi-head attention from some tokens to others (1706.03762, section 3.2.3).

    A learned token precedes the keys: without any other modality there is still something to
    attend to.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(
                f"width {width} does not split into num_heads {num_heads}: "
                "choose a width that is a multiple of num_heads."
            )
        self.num_heads = num_heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.projection = nn.Linear(width, width)
        self.nothing = nn.Parameter(torch.zeros(1, 1, width))

    def forward(
        self,
        tokens: Float[Tensor, "batch query channel"],
        others: Float[Tensor, "batch key channel"],
        seen: Bool[Tensor, "batch key"],
    ) -> Float[Tensor, "batch query channel"]:
        """What each token takes from the others, of which `seen` are True."""
        batch, length, width = tokens.shape
        others = torch.cat([self.nothing.expand(batch, -1, -1).to(others.dtype), others], dim=1)
        seen = torch.cat([seen.new_ones(batch, 1), seen], dim=1)[:, None, None]
        query = self.query(tokens).view(batch, length, self.num_heads, -1).transpose(1, 2)
        both = self.key_value(others).view(batch, others.shape[1], 2, self.num_heads, -1)
        key, value = both.permute(2, 0, 3, 1, 4).unbind(0)
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        mixed = scores.masked_fill(~seen, -torch.inf).softmax(-1) @ value
        projected: Tensor = self.projection(mixed.transpose(1, 2).reshape(batch, length, width))
        return projected


class CrossBlock(nn.Module):
    """Co-attention as in ViLBERT (1908.02265, section 2.1), with pre-norm residuals.

    Every modality's tokens attend to all tokens of the others, then pass through an MLP; both are
    shared by the modalities, whose tokens carry a learned embedding of theirs.
    """

    def __init__(self, width: int, num_heads: int, *, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        hidden = int(width * mlp_ratio)
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.attention = CrossAttention(width, num_heads)
        self.mlp_norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.apply(lambda module: init_linear(module, "xavier"))

    def forward(
        self,
        tokens: Mapping[Modality, Float[Tensor, "batch token channel"]],
        valid: Mapping[Modality, Bool[Tensor, "batch token"]],
    ) -> dict[Modality, Tensor]:
        """Tokens of each modality, in the context of the others."""
        normed = {one: self.attention_norm(values) for one, values in tokens.items()}
        updated = {}
        for one, values in tokens.items():
            others = [other for other in tokens if other != one]
            looked = values.new_zeros(len(values), 0, values.shape[2])
            seen = valid[one].new_zeros(len(values), 0)
            if others:
                looked = torch.cat([normed[other] for other in others], dim=1)
                seen = torch.cat([valid[other] for other in others], dim=1)
            mixed = values + self.attention(normed[one], looked, seen)
            updated[one] = mixed + self.mlp(self.mlp_norm(mixed))
        return updated
