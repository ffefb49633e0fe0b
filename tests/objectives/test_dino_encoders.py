"""DINO's head against lightly 1.6.0 (`DINOProjectionHead`), and what it shows of encoders."""

import pytest
import torch
from lightly.models.modules import DINOProjectionHead

from trivium.encoders.resnet import ResNet
from trivium.encoders.vit import ViT
from trivium.objectives.self_supervised.dino import DINO, Head
from trivium.types import View, Views

SETTINGS = {
    "hidden_width": 16,
    "bottleneck_width": 8,
    "num_prototypes": 12,
    "student_temperature": 0.1,
    "teacher_temperature": 0.04,
    "teacher_temperature_start": 0.04,
    "warmup": 0.0,
    "centre_momentum": 0.9,
    "momentum": 0.9,
    "freeze": 0.0,
}


@pytest.fixture
def crops():
    return Views(tuple(View(torch.rand(6, 1, side, side)) for side in (8, 8, 4, 4, 5)))


def test_head_equals_lightly():
    head = Head(16, 16, 8, 12)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    with pytest.warns(FutureWarning, match="weight_norm"):
        reference = DINOProjectionHead(16, 16, 8, 12)
    linears = [layer for layer in reference.layers if isinstance(layer, torch.nn.Linear)]
    for theirs, ours in zip(linears, head.mlp[::2], strict=True):
        theirs.load_state_dict(ours.state_dict())
    reference.last_layer.weight_v.data.copy_(head.prototypes.weight)
    pooled = torch.randn(5, 16)
    torch.testing.assert_close(head(pooled), reference(pooled))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_pictures_show_where_the_encoder_looks(data, crops, pooling):
    encoder = ViT(data, name="v", patch=2, width=16, depth=1, num_heads=2, pooling=pooling)
    pictures = DINO(encoder, data, **SETTINGS).eval().pictures(crops)
    assert torch.equal(pictures["input"], crops.views[0].values)
    tokens = encoder.stem.patchify(pictures["attention"])
    assert torch.equal(tokens, tokens[:, :, :1].expand_as(tokens))
    assert torch.equal(tokens.amin((1, 2)), torch.zeros(6))
    torch.testing.assert_close(tokens.amax((1, 2)), torch.ones(6))


def test_convolutional_encoders_learn_from_crops_but_have_no_attention(data, crops):
    objective = DINO(ResNet(data, name="r", depth=18, patch=2), data, **SETTINGS)
    objective(crops)["loss"].backward()
    assert objective.encoder.trunk.conv1.weight.grad.any()
    assert objective.pictures(crops) == {}
