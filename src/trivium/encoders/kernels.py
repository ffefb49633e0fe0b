"""The two attention kernels, equal in value, and the rule that picks between them."""

import functools
import math
import time
from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import register_flop_formula

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
    """Pick the faster kernel for inputs like `qkv`.

    On CPUs a fixed rule on the length decides: the kernels differ in their last bits, and a
    race between two timings would make two runs of one seed differ. Elsewhere each
    (length, dtype, device type, head width, number of heads) is timed once per process.
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
