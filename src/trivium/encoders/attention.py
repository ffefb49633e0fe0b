"""Multi-head self-attention."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from trivium.encoders.kernels import attend


class Attention(nn.Module):
    """Multi-head self-attention (1706.03762, section 3.2.2) with one fused projection.

    The rows of `qkv` are laid out as query, key, value, and by head within each.

    Args:
        width: Channels of the tokens; a multiple of `num_heads`.
        num_heads: Attention heads.
        causal: Whether a token sees only itself and the tokens before it.
        rotary: Whether queries and keys are turned by their places (2104.09864).
    """

    def __init__(self, width: int, num_heads: int, *, causal: bool = False, rotary: bool = False):
        super().__init__()
        if width % num_heads:
            raise ValueError(
                f"width {width} does not split into num_heads {num_heads}: "
                "choose a width that is a multiple of num_heads."
            )
        if rotary and (width // num_heads) % 2:
            raise ValueError(
                f"rotary positions turn pairs of channels, but a head has {width // num_heads}: "
                "choose a width that is an even multiple of num_heads."
            )
        self.num_heads = num_heads
        self.causal = causal
        self.rotary = rotary
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)

    def forward(
        self,
        tokens: Float[Tensor, "batch token channel"],
        valid: Bool[Tensor, "batch token"] | None = None,
        places: Int64[Tensor, "batch token"] | None = None,
    ) -> Float[Tensor, "batch token channel"]:
        """Mix the tokens; a key where `valid` is False is seen by nobody.

        `places` says where each token stands in its sample; None means in order.
        """
        batch, length, width = tokens.shape
        mixed = attend(self._heads(tokens, places), self._mask(length, valid, tokens.device))
        projected: Tensor = self.projection(mixed.transpose(1, 2).reshape(batch, length, width))
        return projected

    def weights(
        self,
        tokens: Float[Tensor, "batch token channel"],
        valid: Bool[Tensor, "batch token"] | None = None,
    ) -> Float[Tensor, "batch head query key"]:
        """How much each token takes from each, per head; float32 rows that sum to 1."""
        query, key, _ = self._heads(tokens, None).float().unbind(0)
        mask = self._mask(tokens.shape[1], valid, tokens.device)
        with torch.autocast(tokens.device.type, enabled=False):
            scores: Tensor = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        return scores.softmax(dim=-1)

    def _heads(
        self, tokens: Tensor, places: Tensor | None
    ) -> Float[Tensor, "3 batch head token channel"]:
        """Queries, keys and values."""
        batch, length, width = tokens.shape
        qkv: Tensor = self.qkv(tokens)
        qkv = qkv.view(batch, length, 3, self.num_heads, width // self.num_heads)
        qkv = qkv.permute(2, 0, 3, 1, 4)
        if not self.rotary:
            return qkv
        if places is None:
            places = torch.arange(length, device=tokens.device).unsqueeze(0)
        return torch.cat([rotate(qkv[:2], places), qkv[2:]])

    def _mask(self, length: int, valid: Tensor | None, device: torch.device) -> Tensor | None:
        mask = None if valid is None else valid[:, None, None, :]
        if not self.causal:
            return mask
        past = torch.ones(1, 1, length, length, dtype=torch.bool, device=device).tril()
        if mask is None:
            return past
        # A query at padding before the first valid key still sees itself: no empty softmax.
        return mask & past | torch.eye(length, dtype=torch.bool, device=device)


def rotate(
    heads: Float[Tensor, "kind batch head token channel"], places: Int64[Tensor, "#batch token"]
) -> Float[Tensor, "kind batch head token channel"]:
    """Rotary positions: turn each pair of channels by its place (RoFormer, 2104.09864, eq. 34).

    Channels i and i + half make a pair (the layout of GPT-NeoX and Llama), turned by
    place x 10000^(-2i / channels); what a query and a key then share depends on the distance
    of their places alone.
    """
    half = heads.shape[-1] // 2
    steps = torch.arange(half, dtype=torch.float32, device=heads.device)
    angle = places[:, None, :, None].float() * 10000.0 ** (-steps / half)
    sine, cosine = angle.sin().to(heads.dtype), angle.cos().to(heads.dtype)
    first, second = heads[..., :half], heads[..., half:]
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
