"""Which layer a parameter belongs to, and what its learning rate is there: in closed form."""

import pytest
import torch

from trivium.encoders.resnet import ResNet
from trivium.encoders.text import TextTransformer
from trivium.encoders.vit import ViT
from trivium.objectives.supervised.cross_entropy import CrossEntropy
from trivium.training.module import TrainingModule
from trivium.training.optimizer import layer_groups, layers
from trivium.types import DataSpec

IMAGES = DataSpec("pictures", "image", (3, 16, 16), 5, 100, (0.5,) * 3, (0.2,) * 3)
TEXTS = DataSpec("texts", "text", (12,), 5, 100, (), (), vocabulary=30)


def headed(encoder, data=IMAGES):
    return CrossEntropy(encoder, data, label_smoothing=0.0, mixup=0.0, cutmix=0.0)


def vit(depth=3, **settings):
    return ViT(IMAGES, name="v", patch=4, width=8, depth=depth, num_heads=2, **settings)


def test_the_stem_is_lowest_and_the_head_highest():
    found = layers(headed(vit(pooling="cls", positions="learned")))
    for name, number in found.items():
        if name.startswith(("encoder.stem", "encoder.cls")):
            assert number == 0, name
        elif name.startswith("encoder.trunk.blocks."):
            assert number == 1 + int(name.split(".")[3]), name
        else:
            assert name.startswith(("encoder.trunk.norm", "classifier"))
            assert number == 4, name
    assert set(found.values()) == {0, 1, 2, 3, 4}
    assert {"encoder.cls", "encoder.stem.positions"} <= set(found)


def test_learning_rates_are_powers_of_the_decay():
    objective = headed(vit())
    names = {id(one): name for name, one in objective.named_parameters()}
    module = TrainingModule(
        objective,
        views=lambda values, generator: (),
        optimiser=lambda groups: torch.optim.AdamW(groups, lr=0.01),
        schedule=lambda progress: 1.0,
        weight_decay=0.05,
        num_steps=1,
        seed=0,
        layer_decay=0.5,
    )
    rates = {
        names[id(one)]: group["initial_lr"]
        for group in module.configure_optimizers().param_groups
        for one in group["params"]
    }
    assert set(rates) == set(names.values())
    assert rates["classifier.weight"] == rates["encoder.trunk.norm.weight"] == 0.01
    for block in range(3):
        rate = rates[f"encoder.trunk.blocks.{block}.mlp.0.weight"]
        assert rate == pytest.approx(0.01 * 0.5 ** (3 - block))
    assert rates["encoder.stem.projection.weight"] == pytest.approx(0.01 * 0.5**4)


def test_weight_decay_is_as_without_layers_and_one_is_the_same_everywhere():
    objective = headed(vit())
    groups = layer_groups(objective, 0.05, 1.0)
    assert {group["scale"] for group in groups} == {1.0}
    for group in groups:
        assert group["weight_decay"] == (0.05 if group["params"][0].ndim > 1 else 0.0)
    every = [id(one) for group in groups for one in group["params"]]
    assert sorted(every) == sorted(id(one) for one in objective.parameters())


def test_what_is_frozen_is_left_out():
    objective = headed(vit())
    objective.encoder.stem.requires_grad_(False)
    groups = layer_groups(objective, 0.05, 0.5)
    assert min(group["scale"] for group in groups) == 0.5**3


def test_stages_of_a_residual_network_are_its_layers():
    found = layers(headed(ResNet(IMAGES, name="r")))
    assert found["encoder.trunk.conv1.weight"] == found["encoder.trunk.bn1.bias"] == 0
    assert [found[f"encoder.trunk.layer{n}.1.conv2.weight"] for n in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert found["classifier.weight"] == 5


def test_an_encoder_without_blocks_is_one_layer():
    bag = TextTransformer(TEXTS, name="b", width=8, depth=0, num_heads=2)
    found = layers(headed(bag, TEXTS))
    assert {number for name, number in found.items() if name.startswith("encoder.")} == {0}
    assert found["classifier.bias"] == 1
