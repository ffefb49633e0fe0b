import copy

import pytest
import timm
import torch
import transformers
from timm.models import VisionTransformer
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from trivium.encoders.vit import ViT
from trivium.types import Tokens

SIZES = {"width": 24, "depth": 3, "num_heads": 3}


def vit(data, **settings):
    return ViT(data, name="vit_test", **({"patch": 4} | SIZES | settings)).eval()


def copy_linear(source, target):
    target.weight.data.copy_(source.weight.data)
    target.bias.data.copy_(source.bias.data)


def timm_twin(encoder, side, channels, pooling):
    """timm's VisionTransformer with the weights of an encoder."""
    twin = VisionTransformer(
        img_size=side,
        patch_size=encoder.stem.sides,
        in_chans=channels,
        embed_dim=24,
        depth=3,
        num_heads=3,
        num_classes=0,
        class_token=pooling == "cls",
        global_pool="token" if pooling == "cls" else "avg",
        fc_norm=False,
        final_norm=True,
    ).eval()
    with torch.no_grad():
        shape = twin.patch_embed.proj.weight.shape
        twin.patch_embed.proj.weight.copy_(encoder.stem.projection.weight.view(shape))
        twin.patch_embed.proj.bias.copy_(encoder.stem.projection.bias)
        twin.pos_embed.zero_()[:, -encoder.stem.num_tokens :] = encoder.stem.positions
        if encoder.cls is not None:
            twin.cls_token.copy_(encoder.cls)
        for block, ours in zip(twin.blocks, encoder.trunk.blocks, strict=True):
            copy_linear(ours.attention_norm, block.norm1)
            copy_linear(ours.attention.qkv, block.attn.qkv)
            copy_linear(ours.attention.projection, block.attn.proj)
            copy_linear(ours.mlp_norm, block.norm2)
            copy_linear(ours.mlp[0], block.mlp.fc1)
            copy_linear(ours.mlp[2], block.mlp.fc2)
        copy_linear(encoder.trunk.norm, twin.norm)
    return twin


def perturb(module):
    """Every parameter away from its start, so that zeros and ones hide no mistake."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("positions", ["sincos", "learned"])
def test_agrees_with_timm_at_the_same_weights(data, pooling, positions):
    assert timm.__version__.startswith("1.")  # 1.0.31 when this was written
    encoder = vit(data, pooling=pooling, positions=positions)
    perturb(encoder)
    twin = timm_twin(encoder, data.shape[1], data.shape[0], pooling)
    values = torch.rand(5, *data.shape)
    features = encoder(values)
    encoded = twin.forward_features(encoder.stem.standardise(values))
    tolerance = {"atol": 2e-5, "rtol": 1e-4}
    torch.testing.assert_close(features.tokens, encoded[:, -encoder.stem.num_tokens :], **tolerance)
    torch.testing.assert_close(features.pooled, twin.forward_head(encoded), **tolerance)


def test_agrees_with_transformers_at_the_same_weights(grey):
    assert transformers.__version__.startswith("5.")  # 5.23.0 when this was written
    encoder = vit(grey, pooling="cls", positions="learned")
    perturb(encoder)
    config = transformers.ViTConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=96,
        image_size=28,
        patch_size=4,
        num_channels=1,
        layer_norm_eps=1e-6,
    )
    twin = transformers.ViTModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        embeddings = twin.embeddings
        embeddings.cls_token.copy_(encoder.cls)
        embeddings.position_embeddings.zero_()[:, 1:] = encoder.stem.positions
        projection = embeddings.patch_embeddings.projection
        projection.weight.copy_(encoder.stem.projection.weight.view_as(projection.weight))
        projection.bias.copy_(encoder.stem.projection.bias)
        for layer, ours in zip(twin.layers, encoder.trunk.blocks, strict=True):
            copy_linear(ours.attention_norm, layer.layernorm_before)
            copy_linear(ours.mlp_norm, layer.layernorm_after)
            attention = layer.attention
            names = (attention.q_proj, attention.k_proj, attention.v_proj)
            for part, weight, bias in zip(
                names,
                ours.attention.qkv.weight.chunk(3),
                ours.attention.qkv.bias.chunk(3),
                strict=True,
            ):
                part.weight.copy_(weight)
                part.bias.copy_(bias)
            copy_linear(ours.attention.projection, attention.o_proj)
            copy_linear(ours.mlp[0], layer.mlp.fc1)
            copy_linear(ours.mlp[2], layer.mlp.fc2)
        copy_linear(encoder.trunk.norm, twin.layernorm)
    values = torch.rand(4, 1, 28, 28)
    expected = twin(encoder.stem.standardise(values)).last_hidden_state
    features = encoder(values)
    torch.testing.assert_close(features.pooled, expected[:, 0], atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(features.tokens, expected[:, 1:], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("pooling", ["mean", "cls", "both", "grid"])
def test_features_have_the_declared_shapes(data, pooling):
    encoder = vit(data, pooling=pooling)
    features = encoder(torch.rand(2, *data.shape))
    assert features.tokens.shape == (2, encoder.stem.num_tokens, encoder.token_width)
    assert features.pooled.shape == (2, encoder.width)
    assert encoder.width == {"both": 48, "grid": 16 * 24}.get(pooling, 24)
    assert features.valid.shape == features.tokens.shape[:2]
    assert features.valid.all()


@pytest.mark.parametrize("pooling", ["mean", "cls", "both"])
def test_contextualising_everything_is_forward_and_order_does_not_matter(grey, pooling):
    encoder = vit(grey, pooling=pooling)
    values = torch.rand(3, 1, 28, 28)
    features, tokens = encoder(values), encoder.embed(values)
    order = torch.randperm(49)
    shuffled = encoder.contextualise(Tokens(tokens.values[:, order], tokens.valid[:, order]))
    again = encoder.contextualise(tokens)
    assert torch.equal(again.tokens, features.tokens)
    assert torch.equal(again.pooled, features.pooled)
    torch.testing.assert_close(shuffled.tokens, features.tokens[:, order], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(shuffled.pooled, features.pooled, atol=1e-5, rtol=1e-4)


def test_a_grid_of_cells_tells_where_things_are(colour):
    encoder = vit(colour, pooling="grid")
    values = torch.rand(2, 3, 32, 32)
    features = encoder(values)
    maps = features.tokens.transpose(1, 2).reshape(2, 24, 8, 8)
    means = F.adaptive_avg_pool2d(maps, 4).flatten(2).transpose(1, 2).flatten(1)
    torch.testing.assert_close(features.pooled, means)
    half = encoder(values[..., :16, :16])
    assert half.pooled.shape == features.pooled.shape
    mean = vit(colour, pooling="mean")
    mean.load_state_dict(encoder.state_dict())
    by_cell = features.pooled.view(2, 16, 24)
    torch.testing.assert_close(by_cell.mean(1), mean(values).pooled)


def test_cells_of_some_tokens_need_their_places(colour):
    encoder = vit(colour, pooling="grid")
    tokens = encoder.embed(torch.rand(3, 3, 32, 32))
    kept = torch.stack([torch.randperm(64)[:10] for _ in range(3)])
    some = tokens.values.gather(1, kept[..., None].expand(-1, -1, 24))
    given = Tokens(some, torch.ones_like(kept, dtype=torch.bool), kept)
    valid = torch.zeros(3, 64, dtype=torch.bool).scatter(1, kept, value=True)
    masked = encoder.contextualise(Tokens(tokens.values, valid))
    torch.testing.assert_close(
        encoder.contextualise(given).pooled, masked.pooled, atol=1e-5, rtol=1e-4
    )
    with pytest.raises(ValueError, match="10 tokens are no whole image of the proportions"):
        encoder.contextualise(given._replace(indices=None))


def test_fewer_tokens_than_cells_are_refused(grey):
    with pytest.raises(ValueError, match=r"4 cells a side, but 'grey' .* is 2 x 2 tokens"):
        vit(grey, patch=14, pooling="grid")


@pytest.mark.parametrize("pooling", ["mean", "cls", "both"])
def test_invalid_tokens_are_as_if_they_were_not_there(grey, pooling):
    encoder = vit(grey, pooling=pooling)
    perturb(encoder)
    tokens = encoder.embed(torch.rand(2, 1, 28, 28)).values
    valid = torch.zeros(2, 49, dtype=torch.bool)
    valid[:, :12] = True
    alone = encoder.contextualise(Tokens(tokens[:, :12], valid[:, :12]))
    for noise in (0.0, 1e3):
        padded = torch.where(valid.unsqueeze(-1), tokens, noise)
        features = encoder.contextualise(Tokens(padded, valid))
        torch.testing.assert_close(features.pooled, alone.pooled, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(features.tokens[:, :12], alone.tokens, atol=1e-5, rtol=1e-4)
    different = encoder.contextualise(Tokens(tokens, torch.ones_like(valid)))
    assert not torch.allclose(different.pooled, alone.pooled, atol=1e-3)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_flops_equal_the_closed_form(grey, pooling):
    encoder, batch, width, depth = vit(grey, pooling=pooling), 2, 24, 3
    patches, pixels, length = 49, 16, 49 + (pooling == "cls")
    linears = 2 * length * 12 * width**2  # qkv 3, projection 1, mlp 4 + 4
    products = 2 * 2 * length**2 * width
    forward = batch * (2 * patches * pixels * width + depth * (linears + products))
    with FlopCounterMode(display=False) as counter:
        features = encoder(torch.rand(batch, 1, 28, 28))
    assert counter.get_total_flops() == forward
    with FlopCounterMode(display=False) as counter:
        features.pooled.square().sum().backward()
    # The pixels need no gradient: the stem's projection costs one product, not two.
    assert counter.get_total_flops() == 2 * forward - batch * 2 * patches * pixels * width


def test_bfloat16_autocast_stays_close(grey):
    encoder = vit(grey, pooling="both")
    values = torch.rand(4, 1, 28, 28)
    with torch.autocast("cpu", torch.bfloat16):
        features = encoder(values)
        features.pooled.float().square().sum().backward()
    expected = encoder(values)
    assert all(parameter.grad.isfinite().all() for parameter in encoder.parameters())
    torch.testing.assert_close(features.pooled.float(), expected.pooled, atol=0.06, rtol=0.05)


def test_every_parameter_gets_a_gradient(data):
    encoder = vit(data, pooling="both", positions="learned").train()
    features = encoder(torch.rand(2, *data.shape))
    (features.pooled.square().sum() + features.tokens.pow(3).sum()).backward()
    assert all(parameter.grad.count_nonzero() for parameter in encoder.parameters())


def test_a_deep_copy_is_equal_and_independent(grey):
    encoder = vit(grey, pooling="cls")
    teacher = copy.deepcopy(encoder)
    values = torch.rand(2, 1, 28, 28)
    before = encoder(values).pooled
    assert torch.equal(teacher(values).pooled, before)
    perturb(encoder)
    assert torch.equal(teacher(values).pooled, before)
    assert not torch.allclose(encoder(values).pooled, before)


def test_the_same_seed_gives_the_same_bits(grey):
    def gradient():
        torch.manual_seed(3)
        encoder = vit(grey, drop_path=0.3).train()
        encoder(torch.rand(8, 1, 28, 28)).pooled.pow(3).sum().backward()
        return encoder.stem.projection.weight.grad

    assert torch.equal(gradient(), gradient())


@pytest.mark.parametrize("pooling", ["mean", "cls", "both", "grid"])
@pytest.mark.parametrize("size", [28, 14])
def test_the_attention_map_is_the_last_block_s(grey, pooling, size):
    encoder = vit(grey, pooling=pooling, drop_path=0.5).train()
    perturb(encoder)
    values = torch.rand(2, 1, size, size)
    found = encoder.attention_map(values)
    assert encoder.training
    assert not found.requires_grad
    captured = []
    last = encoder.eval().trunk.blocks[-1].attention
    last.register_forward_hook(lambda module, args, output: captured.append(args[0]))
    encoder(values)
    weights = last.weights(captured[0])
    side = size // 4 if size == 28 else 4
    without_cls = pooling in ("mean", "grid")
    expected = weights.mean(2) if without_cls else weights[:, :, 0, 1:]
    assert found.shape == (2, 3, side, side)
    torch.testing.assert_close(found.flatten(2), expected)
    assert ((found.sum((2, 3)) - 1).abs() < 1e-5).all() == without_cls


def test_pooling_is_one_of_four(grey):
    with pytest.raises(Exception, match="pooling"):
        vit(grey, pooling="max")
