"""data2vec: masks against transformers 5.23 (`Data2VecVisionEmbeddings`, rtol 1e-5), and targets
against a transcription of fairseq's formula (rtol 1e-5)."""

import pytest
import torch
from torch.nn import functional as F

from trivium.encoders.vit import ViT
from trivium.objectives.self_supervised.data2vec import Data2Vec
from trivium.types import View, Views

SETTINGS = {
    "ratio": 0.6,
    "block": (2, 10),
    "aspect_ratio": (0.3, 3.3),
    "top_k": 2,
    "normalise": "layer",
    "beta": 2.0,
    "momentum_start": 0.9,
    "momentum_end": 0.99,
    "anneal_share": 0.5,
}


def make(data, pooling="mean", **settings):
    shape = {"patch": 2, "width": 16, "depth": 3, "num_heads": 2}
    encoder = ViT(data, name="vit_test", **shape, pooling=pooling, positions="learned")
    return Data2Vec(encoder, data, **SETTINGS | settings)


def perturb(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def test_masked_embedding_equals_transformers(data, one_view):
    from transformers import Data2VecVisionConfig
    from transformers.models.data2vec.modeling_data2vec_vision import Data2VecVisionEmbeddings

    objective = make(data)
    stem, values = objective.encoder.stem, one_view.views[0].values
    config = Data2VecVisionConfig(
        hidden_size=16,
        image_size=8,
        patch_size=2,
        num_channels=1,
        use_mask_token=True,
        use_absolute_position_embeddings=True,
        hidden_dropout_prob=0.0,
    )
    theirs = Data2VecVisionEmbeddings(config)
    with torch.no_grad():
        theirs.patch_embeddings.projection.weight.copy_(stem.projection.weight.view(16, 1, 2, 2))
        theirs.patch_embeddings.projection.bias.copy_(stem.projection.bias)
        theirs.position_embeddings[0, 1:] = stem.positions
        theirs.mask_token.copy_(objective.masking.token)
    tokens = objective.encoder.embed(values)
    mask = objective.masking.draw(tokens, stem)
    expected = theirs(stem.standardise(values), bool_masked_pos=mask.mask)
    expected = expected[0] if isinstance(expected, tuple) else expected
    hidden = objective.masking(tokens, mask, stem).values
    torch.testing.assert_close(hidden, expected[:, 1:], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("normalise", ["layer", "instance"])
def test_targets_equal_fairseqs_formula(data, one_view, normalise):
    objective = make(data, normalise=normalise)
    perturb(objective.teacher)
    tokens = objective.encoder.embed(one_view.views[0].values)
    with torch.no_grad():
        outputs, state = [], tokens.values
        for block in objective.teacher.copy.trunk.blocks:
            state = block(state)
            outputs.append(state)
        total = torch.zeros_like(state)
        for output in outputs[-2:]:
            if normalise == "layer":
                total += F.layer_norm(output, (16,))
            else:
                total += F.instance_norm(output.transpose(1, 2)).transpose(1, 2)
        expected = total / 2
        if normalise == "layer":
            expected = F.layer_norm(expected, (16,))
    torch.testing.assert_close(objective.target(tokens), expected, rtol=1e-5, atol=1e-6)


def test_student_does_not_see_what_is_masked_but_the_teacher_does(data, one_view):
    objective = make(data)
    encoder, values = objective.encoder, one_view.views[0].values
    hiding, stem = objective.masking, encoder.stem
    mask = hiding.draw(encoder.embed(values), stem)
    assert mask.mask.sum(1).tolist() == [10] * 6
    patches = stem.patchify(values)
    changed = torch.where(mask.mask.unsqueeze(-1), torch.rand_like(patches), patches)
    first, second = encoder.embed(values), encoder.embed(stem.unpatchify(changed))
    assert torch.equal(hiding(first, mask, stem).values, hiding(second, mask, stem).values)
    assert not torch.allclose(objective.target(first), objective.target(second))


def test_teacher_learns_by_following_alone(data, one_view):
    objective = make(data)
    objective(one_view)["loss"].backward()
    assert all(parameter.grad is None for parameter in objective.teacher.parameters())
    for progress, momentum in ((0.25, 0.945), (0.5, 0.99), (1.0, 0.99)):
        before = objective.teacher.copy.trunk.blocks[0].mlp[0].weight.clone()
        perturb(objective.encoder)
        objective.after_step(progress)
        student = objective.encoder.trunk.blocks[0].mlp[0].weight
        after = objective.teacher.copy.trunk.blocks[0].mlp[0].weight
        torch.testing.assert_close(after, momentum * before + (1 - momentum) * student)


@pytest.mark.parametrize("pooling", ["mean", "cls", "both"])
def test_layers_are_the_patches_outputs_of_each_block(data, one_view, pooling):
    encoder = make(data, pooling).encoder
    tokens = encoder.embed(one_view.views[0].values)
    layers = encoder.layers(tokens)
    assert [layer.shape for layer in layers] == [(6, 16, 16)] * 3
    expected = encoder.contextualise(tokens).tokens
    torch.testing.assert_close(encoder.trunk.norm(layers[-1]), expected)


def test_padding_is_neither_seen_nor_predicted(data, one_view):
    objective, values = make(data), one_view.views[0].values
    valid = torch.arange(16) < torch.tensor([16, 12, 9, 6, 3, 1])[:, None]
    patches = objective.encoder.stem.patchify(values)
    other = torch.where(valid.unsqueeze(-1), patches, torch.rand_like(patches))

    def loss(images):
        torch.manual_seed(2)
        return objective(Views((View(images, valid),)))["loss"]

    expected = loss(values)
    torch.testing.assert_close(loss(objective.encoder.stem.unpatchify(other)), expected)


def test_target_std_sees_collapse(data, one_view):
    objective, images = make(data), one_view.views[0].values
    perturb(objective.teacher)
    collapsed = objective(Views((View(images[:1].expand(6, -1, -1, -1)),)))["target_std"]
    assert collapsed < 1e-4 < 0.05 < objective(one_view)["target_std"]


@pytest.mark.parametrize("wrong", [{"top_k": 0}, {"anneal_share": 0.0}, {"normalise": "batch"}])
def test_settings_that_make_no_sense_are_refused(data, wrong):
    with pytest.raises((ValueError, TypeError)):
        make(data, **wrong)
