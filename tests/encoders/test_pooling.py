import torch

from trivium.encoders.pooling import mean_pool, pool


def test_mean_counts_valid_tokens_only():
    tokens = torch.tensor([[[1.0], [3.0], [100.0]], [[2.0], [4.0], [6.0]]])
    valid = torch.tensor([[True, True, False], [True, True, True]])
    assert mean_pool(tokens, valid).tolist() == [[2.0], [4.0]]
    torch.testing.assert_close(mean_pool(tokens, None), tokens.mean(1))


def test_both_concatenates_cls_and_mean():
    tokens, cls = torch.randn(2, 3, 4), torch.randn(2, 4)
    assert torch.equal(pool("mean", tokens, None, None), tokens.mean(1))
    assert torch.equal(pool("cls", tokens, cls, None), cls)
    assert torch.equal(pool("both", tokens, cls, None), torch.cat([cls, tokens.mean(1)], 1))
