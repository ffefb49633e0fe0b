import copy

import pytest
import torch
import torchvision
from torch import nn

from trivium.encoders.resnet import ResNet

TWINS = {18: torchvision.models.resnet18, 50: torchvision.models.resnet50}


def resnet(data, **settings):
    return ResNet(data, name="resnet_test", **settings)


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("training", [False, True])
def test_imagenet_stem_agrees_with_torchvision_at_the_same_weights(colour, depth, training):
    # torchvision 0.29.1; in double precision, for batch statistics of a few cells are fragile.
    encoder = resnet(colour, depth=depth, stem_kind="imagenet").double().train(training)
    twin = TWINS[depth](num_classes=1).double().train(training)
    twin.fc = nn.Identity()
    twin.load_state_dict(copy.deepcopy(encoder.trunk.state_dict()))
    values = torch.rand(3, 3, 64, 64, dtype=torch.float64)
    expected = twin(encoder.stem.standardise(values))
    torch.testing.assert_close(encoder(values).pooled, expected)


@pytest.mark.parametrize("depth", [18, 50])
def test_small_stem_keeps_the_resolution(data, depth):
    encoder = resnet(data, depth=depth).eval()
    features = encoder(torch.rand(2, *data.shape))
    cells = -(-data.shape[1] // 8)  # three strides of two, rounded up
    assert features.tokens.shape == (2, cells**2, encoder.width)
    assert encoder.width == encoder.token_width == {18: 512, 50: 2048}[depth]
    torch.testing.assert_close(features.pooled, features.tokens.mean(1))
    assert features.valid.all()
    assert encoder.trunk.conv1.weight.shape == (64, data.shape[0], 3, 3)


def test_tokens_are_in_row_major_order(grey):
    encoder = resnet(grey, depth=18).eval()
    captured = []
    encoder.trunk.layer4.register_forward_hook(lambda *args: captured.append(args[2]))
    features = encoder(torch.rand(1, 1, 28, 28))
    assert torch.equal(features.tokens[0, 4 + 2], captured[0][0, :, 1, 2])


def test_runs_under_autocast_and_every_parameter_gets_a_gradient(grey):
    encoder = resnet(grey, depth=18)
    with torch.autocast("cpu", torch.bfloat16):
        loss = encoder(torch.rand(4, 1, 28, 28)).pooled.float().square().sum()
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad.count_nonzero() for parameter in encoder.parameters())


def test_it_can_predict_patches_but_not_embed_subsets(grey):
    encoder = resnet(grey, patch=7)
    assert encoder.stem.target(torch.rand(2, 1, 28, 28)).shape == (2, 16, 49)
    assert not encoder.contextual
    with pytest.raises(NotImplementedError, match="ResNet has no token embedding"):
        encoder.embed(torch.rand(2, 1, 28, 28))


def test_wrong_settings_are_one_clear_sentence(grey):
    with pytest.raises(ValueError, match="no ResNet of depth 34; choose 18 or 50"):
        resnet(grey, depth=34)
