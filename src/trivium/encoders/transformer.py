"""The transformer trunk that images, text and audio share."""

import functools
import math
from typing import Literal

from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from trivium.encoders.attention import Attention

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
            +-2 as in timm; or `xavier` uniform as in MAE (2111.06377, appendix A.1), which does
            not shrink the signal of narrow trunks; or `gpt2`: normal of standard deviation 0.02,
            on the way into the residual stream divided by sqrt(2 depth) (GPT-2, section 2.3).
        dropout: Share of the values that is dropped (1207.0580) behind each branch of a block.
        rotary: Whether attention turns queries and keys by their places.

    Raises:
        ValueError: If `init` is none of the choices or `width` does not split into heads.
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
        self.blocks = nn.ModuleList(
            Block(
                width,
                num_heads,
                mlp_ratio=mlp_ratio,
                causal=causal,
                drop_path=rate,
                dropout=dropout,
                rotary=rotary,
            )
            for rate in rates
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
        places: Int64[Tensor, "batch token"] | None = None,
    ) -> Float[Tensor, "batch token channel"]:
        """Contextualise tokens; `valid` None means that all of them are valid."""
        for block in self.blocks:
            tokens = block(tokens, valid, places)
        normalised: Tensor = self.norm(tokens)
        return normalised

    def layers(
        self,
        tokens: Float[Tensor, "batch token channel"],
        valid: Bool[Tensor, "batch token"] | None = None,
        places: Int64[Tensor, "batch token"] | None = None,
    ) -> tuple[Float[Tensor, "batch token channel"], ...]:
        """What each block returns, first to last; the final LayerNorm is not applied."""
        outputs: list[Tensor] = []
        for block in self.blocks:
            tokens = block(tokens, valid, places)
            outputs.append(tokens)
        return tuple(outputs)


class Block(nn.Module):
    """One pre-norm block: attention and MLP, each with a residual.

    Args:
        width: Channels of the tokens.
        num_heads: Attention heads.
        mlp_ratio: Hidden channels of the MLP over `width`.
        causal: Whether a token sees only itself and the tokens before it.
        drop_path: Probability that a sample skips a residual branch during training.
        dropout: Share of the values of a branch that is dropped during training.
        rotary: Whether attention turns queries and keys by their places.
    """

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
        places: Int64[Tensor, "batch token"] | None = None,
    ) -> Float[Tensor, "batch token channel"]:
        """Contextualise tokens; `valid` None means that all of them are valid."""
        mixed = self.attention(self.attention_norm(tokens), valid, places)
        tokens = tokens + self.drop_path(mixed)
        updated: Tensor = tokens + self.drop_path(self.mlp(self.mlp_norm(tokens)))
        return updated


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
