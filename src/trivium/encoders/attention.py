"""Multi-head attention: self and cross, and the two kernels that compute it."""

import functools
import math
import time
from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import register_flop_formula


class Attention(nn.Module):
    """Multi-head self-attention (1706.03762, section 3.2.2) with one fused projection.

    The rows of `qkv` are laid out as query, key, value, and by head within each. `causal`: a token
    sees only itself and those before it; `rotary`: queries and keys are turned by their positions
    (2104.09864).

    Raises:
        ValueError: `width` does not split into heads (of `rotary`, of an even width).
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
        indices: Int64[Tensor, "batch token"] | None = None,
    ) -> Float[Tensor, "batch token channel"]:
        """Mix the tokens; keys where `valid` is False are not seen; no `indices`: in order."""
        batch, length, width = tokens.shape
        mixed = attend(self._heads(tokens, indices), self._mask(length, valid, tokens.device))
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
        self, tokens: Tensor, indices: Tensor | None
    ) -> Float[Tensor, "3 batch head token channel"]:
        """Queries, keys and values."""
        batch, length, width = tokens.shape
        qkv: Tensor = self.qkv(tokens)
        qkv = qkv.view(batch, length, 3, self.num_heads, width // self.num_heads)
        qkv = qkv.permute(2, 0, 3, 1, 4)
        if not self.rotary:
            return qkv
        if indices is None:
            indices = torch.arange(length, device=tokens.device).unsqueeze(0)
        return torch.cat([rotate(qkv[:2], indices), qkv[2:]])

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
    heads: Float[Tensor, "kind batch head token channel"], indices: Int64[Tensor, "#batch token"]
) -> Float[Tensor, "kind batch head token channel"]:
    """Rotary positions: turn each pair of channels by its position (RoFormer, 2104.09864, eq. 34).

    Channels i and i + half make a pair (the layout of GPT-NeoX and Llama), turned by
    position x 10000^(-2i / channels).
    """
    half = heads.shape[-1] // 2
    steps = torch.arange(half, dtype=torch.float32, device=heads.device)
    angle = indices[:, None, :, None].float() * 10000.0 ** (-steps / half)
    sine, cosine = angle.sin().to(heads.dtype), angle.cos().to(heads.dtype)
    first, second = heads[..., :half], heads[..., half:]
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


Kernel = Literal["matmul", "fused"]
Shape = tuple[int, ...]
Mask = Bool[Tensor, "#batch #head #query key"]

MATMUL_TOKENS = {torch.bfloat16: 512, torch.float16: 512, torch.float32: 64, torch.float64: 64}
"""On CPUs, up to how many tokens the matmul kernel is the faster one.

Forward and backward, head widths 16 and 64: in bfloat16 it is 2 to 8 times as fast up to 256
tokens and even at 1024; in float32 it is ahead up to 32, even at 64, and half as fast at 256.
"""

NUM_TIMINGS = 20


def attend(
    qkv: Float[Tensor, "3 batch head token channel"], mask: Mask | None
) -> Float[Tensor, "batch head token channel"]:
    """Softmax self-attention (1706.03762, eq. 1) with the kernel that suits the inputs.

    `qkv` stacks queries, keys and values; it need not be contiguous. `mask` is True where a key
    is seen, and every query must see one at least.
    """
    kernel = matmul_attention if pick_kernel(qkv) == "matmul" else fused_attention
    return kernel(qkv, mask)


def matmul_attention(
    qkv: Float[Tensor, "3 batch head token channel"], mask: Mask | None
) -> Float[Tensor, "batch head token channel"]:
    """Attention as two batched matrix products: the fastest at short lengths on CPUs."""
    _, batch, num_heads, length, width = qkv.shape
    # One copy lays out all three for the products; the scale goes where the numbers are fewest.
    query, key, value = qkv.reshape(3, batch * num_heads, length, width).unbind(0)
    scores = torch.bmm(query * width**-0.5, key.transpose(1, 2))
    if mask is not None:
        scores = scores.view(batch, num_heads, length, length)
        scores = scores.masked_fill(~mask, -torch.inf).view(-1, length, length)
    return torch.bmm(scores.softmax(dim=-1), value).view(batch, num_heads, length, width)


def fused_attention(
    qkv: Float[Tensor, "3 batch head token channel"], mask: Mask | None
) -> Float[Tensor, "batch head token channel"]:
    """Attention as torch's fused kernel: it never holds the whole score matrix."""
    query, key, value = qkv.unbind(0)
    return scaled_dot_product_attention(query, key, value, attn_mask=mask)


def pick_kernel(qkv: Float[Tensor, "3 batch head token channel"]) -> Kernel:
    """The faster kernel for inputs like `qkv`.

    On CPUs a fixed rule on the length decides: the kernels differ in their last bits, and a race
    would make two runs of one seed differ. Elsewhere each shape and dtype is timed once.
    """
    *_, num_heads, length, width = qkv.shape
    if qkv.device.type == "cpu":
        return "matmul" if length <= MATMUL_TOKENS[qkv.dtype] else "fused"
    return _faster_kernel(length, qkv.dtype, qkv.device.type, width, num_heads)


@functools.cache
def _faster_kernel(
    length: int, dtype: torch.dtype, device: str, width: int, num_heads: int
) -> Kernel:
    batch = max(1, 2**16 // (length * num_heads))
    # Not random numbers: drawing them would move the run's own random state.
    shape = (3, batch, num_heads, length, width)
    probe = torch.linspace(-1, 1, length * width, dtype=dtype, device=device)
    probe = probe.view(length, width).expand(shape).contiguous()
    matmul = _seconds(matmul_attention, probe)
    return "matmul" if matmul < _seconds(fused_attention, probe) else "fused"


def _seconds(kernel: Callable[[Tensor, Mask | None], Tensor], probe: Tensor) -> float:
    """The fastest of several forward and backward passes."""
    synchronise = torch.get_device_module(probe.device).synchronize
    timings = []
    for _ in range(NUM_TIMINGS):
        inputs = probe.detach().requires_grad_()
        synchronise()
        start = time.perf_counter()
        with torch.enable_grad():
            torch.autograd.grad(kernel(inputs, None).sum(), inputs)
        synchronise()
        timings.append(time.perf_counter() - start)
    return min(timings)


# torch counts no FLOPs for its fused CPU kernel. These formulas give it the price of the matmul
# kernel, so that a budget in FLOPs does not depend on which of the two ran.


@register_flop_formula(torch.ops.aten._scaled_dot_product_flash_attention_for_cpu)
def _forward_flops(query: Shape, key: Shape, *_: Any, **__: Any) -> int:
    return 2 * _product_flops(query, key)


@register_flop_formula(torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward)
def _backward_flops(_: Shape, query: Shape, key: Shape, *__: Any, **___: Any) -> int:
    return 4 * _product_flops(query, key)


def _product_flops(query: Shape, key: Shape) -> int:
    """Additions and multiplications of one batched product of queries and keys."""
    return 2 * math.prod(query) * key[2]
