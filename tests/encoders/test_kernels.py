import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from trivium.encoders.attention import (
    MATMUL_TOKENS,
    attend,
    fused_attention,
    matmul_attention,
    pick_kernel,
)

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 4e-2}


def qkv_of(batch=2, heads=3, length=13, width=8, dtype=torch.float32):
    return torch.randn(3, batch, heads, length, width, dtype=dtype)


def masks(length):
    valid = torch.arange(length) < torch.tensor([[length], [length // 2 + 1]])
    past = torch.ones(length, length, dtype=torch.bool).tril()[None, None]
    return {"none": None, "keys": valid[:, None, None, :], "causal": past}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("length", [1, 13, 49])
@pytest.mark.parametrize("mask", ["none", "keys", "causal"])
def test_kernels_are_equal_in_value_and_gradient(dtype, length, mask):
    inputs = qkv_of(length=length, dtype=dtype)
    weight = torch.randn(2, 3, length, 8, dtype=dtype)
    found = []
    for kernel in (matmul_attention, fused_attention):
        leaf = inputs.clone().requires_grad_()
        output = kernel(leaf, masks(length)[mask])
        (output * weight).sum().backward()
        found.append((output.detach(), leaf.grad))
    for ours, reference in zip(*found, strict=True):
        torch.testing.assert_close(ours, reference, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


def test_matmul_kernel_is_the_textbook_formula():
    query, key, value = inputs = qkv_of(dtype=torch.float64)
    scores = torch.einsum("bhqc,bhkc->bhqk", query, key) / 8**0.5
    weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
    expected = torch.einsum("bhqk,bhkc->bhqc", weights, value)
    torch.testing.assert_close(matmul_attention(inputs, None), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_rule_on_cpus_depends_on_length_and_precision_alone(dtype):
    limit = MATMUL_TOKENS[dtype]
    assert pick_kernel(qkv_of(length=limit, dtype=dtype)) == "matmul"
    assert pick_kernel(qkv_of(length=limit + 1, dtype=dtype)) == "fused"
    assert pick_kernel(qkv_of(batch=9, heads=1, length=limit, width=2, dtype=dtype)) == "matmul"


def test_attend_runs_the_picked_kernel():
    short, long = qkv_of(length=5), qkv_of(length=MATMUL_TOKENS[torch.float32] + 5)
    assert torch.equal(attend(short, None), matmul_attention(short, None))
    assert torch.equal(attend(long, None), fused_attention(long, None))


def test_flops_do_not_depend_on_the_kernel():
    counts = []
    for kernel in (matmul_attention, fused_attention):
        leaf = qkv_of(length=20).requires_grad_()
        with FlopCounterMode(display=False) as counter:
            kernel(leaf, None).sum().backward()
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] == 3 * 2 * 2 * 2 * 3 * 20 * 20 * 8
