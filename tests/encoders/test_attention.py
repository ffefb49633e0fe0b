import pytest
import torch
from torch import nn

from trivium.encoders.attention import Attention


def reference_of(attention, width, num_heads):
    reference = nn.MultiheadAttention(width, num_heads, batch_first=True)
    reference.load_state_dict(
        {
            "in_proj_weight": attention.qkv.weight,
            "in_proj_bias": attention.qkv.bias,
            "out_proj.weight": attention.projection.weight,
            "out_proj.bias": attention.projection.bias,
        }
    )
    return reference


@pytest.mark.parametrize("length", [7, 80], ids=["matmul", "fused"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_agrees_with_torch_multihead_attention(length, causal, padded):
    attention = Attention(24, 3, causal=causal)
    tokens = torch.randn(4, length, 24)
    valid = torch.arange(length) < torch.tensor([[length], [5], [3], [1]]) if padded else None
    future = torch.ones(length, length, dtype=torch.bool).triu(1) if causal else None
    expected, _ = reference_of(attention, 24, 3)(
        tokens,
        tokens,
        tokens,
        key_padding_mask=None if valid is None else ~valid,
        attn_mask=future,
        need_weights=False,
    )
    seen = slice(None) if valid is None else valid  # what padding itself gets is of no interest
    torch.testing.assert_close(attention(tokens, valid)[seen], expected[seen], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_weights_agree_with_torch_multihead_attention(causal, padded):
    attention = Attention(24, 3, causal=causal)
    tokens = torch.randn(4, 7, 24)
    valid = torch.arange(7) < torch.tensor([[7], [5], [3], [1]]) if padded else None
    _, expected = reference_of(attention, 24, 3)(
        tokens,
        tokens,
        tokens,
        key_padding_mask=None if valid is None else ~valid,
        attn_mask=torch.ones(7, 7, dtype=torch.bool).triu(1) if causal else None,
        average_attn_weights=False,
    )
    weights = attention.weights(tokens, valid)
    rows = torch.ones(4, 7, dtype=torch.bool) if valid is None else valid
    torch.testing.assert_close(weights.transpose(1, 2)[rows], expected.transpose(1, 2)[rows])
    torch.testing.assert_close(weights.sum(-1), torch.ones(4, 3, 7))


def test_padding_before_the_first_token_stays_finite_when_causal():
    attention = Attention(8, 2, causal=True)
    tokens = torch.randn(1, 4, 8)
    valid = torch.tensor([[False, False, True, True]])
    mixed = attention(tokens, valid)
    assert mixed.isfinite().all()
    torch.testing.assert_close(mixed[:, 2:], attention(tokens[:, 2:]))


def test_width_must_split_into_heads():
    with pytest.raises(ValueError, match="width 10 does not split into num_heads 4"):
        Attention(10, 4)
