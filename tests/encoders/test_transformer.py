import torch
from torch import nn

from trivium.encoders.transformer import Block, Transformer


def test_linears_start_as_normals_of_two_hundredths():
    trunk = Transformer(96, 2, 3)
    for module in trunk.modules():
        if isinstance(module, nn.Linear):
            assert abs(module.weight.std().item() - 0.02) < 1e-3
            assert module.bias.count_nonzero() == 0


def test_linears_can_start_as_xavier_uniforms():
    for module in Transformer(96, 2, 3, init="xavier").modules():
        if isinstance(module, nn.Linear):
            bound = (6 / (module.in_features + module.out_features)) ** 0.5
            assert 0.99 * bound < module.weight.abs().max() <= bound


def test_output_is_normalised():
    encoded = Transformer(32, 2, 4)(torch.randn(3, 5, 32) * 7 + 2)
    torch.testing.assert_close(encoded.mean(-1), torch.zeros(3, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(encoded.var(-1, correction=0), torch.ones(3, 5), atol=1e-3, rtol=0)


def test_causal_trunk_does_not_see_the_future():
    tokens = torch.randn(2, 6, 16)
    changed = tokens.clone()
    changed[:, 4:] = torch.randn(2, 2, 16)
    causal, open_ = (Transformer(16, 2, 2, causal=causal) for causal in (True, False))
    torch.testing.assert_close(causal(changed)[:, :4], causal(tokens)[:, :4])
    assert not torch.allclose(open_(changed)[:, :4], open_(tokens)[:, :4])


def test_drop_path_rises_linearly_and_acts_in_training_only():
    trunk = Transformer(16, 3, 2, drop_path=0.4)
    assert isinstance(trunk.blocks[0].drop_path, nn.Identity)
    assert [block.drop_path.p for block in trunk.blocks[1:]] == [0.2, 0.4]
    tokens = torch.randn(64, 3, 16)
    block = Block(16, 2, drop_path=0.5)
    plain = Block(16, 2)
    plain.load_state_dict(block.state_dict())
    assert torch.equal(block.eval()(tokens), plain(tokens))
    skipped = (block.train()(tokens) == tokens).flatten(1).all(dim=1)
    assert 4 < skipped.sum() < 32  # a quarter of 64 in expectation


def test_mlp_ratio_and_depth_set_the_sizes():
    trunk = Transformer(16, 3, 2, mlp_ratio=2.5)
    assert len(trunk.blocks) == 3
    assert trunk.blocks[0].mlp[0].out_features == 40


def test_layers_are_the_outputs_of_the_blocks_before_the_norm():
    trunk, tokens = Transformer(16, 3, 2), torch.randn(2, 5, 16)
    valid = torch.ones(2, 5, dtype=torch.bool)
    valid[0, 3:] = False
    layers = trunk.layers(tokens, valid)
    assert len(layers) == 3
    for layer, before, block in zip(layers, (tokens, *layers), trunk.blocks, strict=False):
        assert torch.equal(layer, block(before, valid))
    assert torch.equal(trunk.norm(layers[-1]), trunk(tokens, valid))
