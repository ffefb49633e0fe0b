"""I-JEPA against a transcription of its formulas, one sample and block at a time (rtol 1e-5)."""

import pytest
import torch
from torch.nn import functional as F

from trivium.encoders.layers import every_token
from trivium.encoders.vit import ViT
from trivium.objectives.self_supervised.i_jepa import IJEPA
from trivium.types import Tokens, View, Views

SETTINGS = {
    "num_targets": 3,
    "target_scale": (0.15, 0.2),
    "aspect_ratio": (0.75, 1.5),
    "context_scale": (0.85, 1.0),
    "normalise": "layer",
    "momentum": 0.9,
    "predictor_width": 8,
    "predictor_depth": 2,
    "predictor_num_heads": 2,
}


@pytest.fixture
def objective(encoder, data):
    return IJEPA(encoder, data, **SETTINGS)


def perturb(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def test_loss_and_gradient_equal_the_formula(objective, one_view):
    perturb(objective)
    values = one_view.views[0].values
    torch.manual_seed(3)
    objective(one_view)["loss"].backward()
    ours = [
        parameter.grad.clone() for parameter in objective.parameters() if parameter.grad is not None
    ]
    torch.manual_seed(3)
    loss = objective(one_view)["loss"].detach()
    torch.manual_seed(3)
    tokens = objective.encoder.embed(values)
    blocks = objective.draw(tokens)
    losses = []
    for sample in range(6):
        context = blocks.context[sample]
        chosen = tokens.values[sample, context].unsqueeze(0)
        seen = objective.encoder.contextualise(Tokens(chosen, every_token(chosen))).tokens[0]
        seen = objective.enter(seen) + objective.positions[context]
        with torch.no_grad():
            teacher = objective.teacher.copy(values[sample : sample + 1]).tokens[0]
        centred = teacher - teacher.mean(-1, keepdim=True)
        target = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        for block in blocks.targets[sample]:
            asked = torch.cat([seen, objective.mask_token + objective.positions[block]])
            answer = objective.leave(objective.predictor(asked.unsqueeze(0))[0, len(context) :])
            losses.append(F.smooth_l1_loss(answer, target[block]))
    objective.zero_grad()
    expected = torch.stack(losses).mean()
    expected.backward()
    theirs = [parameter.grad for parameter in objective.parameters() if parameter.grad is not None]
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_hidden_pixels_reach_the_target_only(objective, one_view):
    view, encoder = one_view.views[0], objective.encoder
    blocks = objective.draw(encoder.embed(view.values))
    hidden = torch.ones(6, 16, dtype=torch.bool).scatter_(1, blocks.context, False).unsqueeze(-1)
    patches = encoder.stem.patchify(view.values)
    changed = encoder.stem.unpatchify(torch.where(hidden, torch.rand_like(patches), patches))

    def predict(values):
        context = objective.see(encoder.embed(values), blocks)
        assert context.values.shape[1] == blocks.context.shape[1] < 16
        return objective.predict(encoder.contextualise(context), blocks)

    assert torch.equal(predict(view.values), predict(changed))
    assert not torch.allclose(objective.target(view), objective.target(View(changed)))


def test_targets_are_normalised_and_carry_no_gradient(objective, one_view):
    perturb(objective.teacher)
    target = objective.target(one_view.views[0])
    torch.testing.assert_close(target.mean(-1), torch.zeros(6, 16), atol=1e-5, rtol=0)
    torch.testing.assert_close(target.var(-1, correction=0), torch.ones(6, 16), atol=1e-3, rtol=0)
    objective(one_view)["loss"].backward()
    assert all(parameter.grad is None for parameter in objective.teacher.parameters())
    assert not any(parameter.requires_grad for parameter in objective.teacher.parameters())


@pytest.mark.parametrize("progress", [0.25, 1.0])
def test_teacher_follows_with_a_linear_momentum(objective, progress):
    before = objective.teacher.copy.stem.projection.weight.clone()
    perturb(objective.encoder)
    objective.after_step(progress)
    momentum = 0.9 + 0.1 * progress
    expected = momentum * before + (1 - momentum) * objective.encoder.stem.projection.weight
    torch.testing.assert_close(objective.teacher.copy.stem.projection.weight, expected)


def test_target_std_sees_collapse(objective, one_view):
    images = one_view.views[0].values
    varied = objective(one_view)["target_std"]
    collapsed = objective(Views((View(images[:1].expand(6, -1, -1, -1)),)))["target_std"]
    assert collapsed < 1e-4 < 0.05 < varied


def test_padding_is_neither_seen_nor_predicted(objective, one_view):
    values = one_view.views[0].values
    valid = torch.arange(16) < torch.tensor([16, 12, 9, 6, 3, 1])[:, None]
    patches = objective.encoder.stem.patchify(values)
    other = torch.where(valid.unsqueeze(-1), patches, torch.rand_like(patches))

    def loss(images, seed):
        torch.manual_seed(seed)
        return objective(Views((View(images, valid),)))["loss"]

    # Among these draws are contexts that are padding throughout.
    for seed in range(6):
        expected = loss(values, seed)
        assert expected.isfinite()
        torch.testing.assert_close(loss(objective.encoder.stem.unpatchify(other), seed), expected)


@pytest.mark.parametrize("pooling", ["mean", "cls", "both", "grid"])
def test_every_pooling_trains_all_of_the_encoder(data, one_view, pooling):
    shape = {"patch": 2, "width": 16, "depth": 1, "num_heads": 2}
    encoder = ViT(data, name="vit_test", **shape, pooling=pooling)
    objective = IJEPA(encoder, data, **SETTINGS)
    objective(one_view)["loss"].backward()
    assert all(parameter.grad.any() for parameter in encoder.parameters())


def test_pictures_show_context_and_targets_apart(objective, one_view):
    pictures = objective.pictures(one_view)
    assert list(pictures) == ["input", "context", "targets"]
    cut = objective.encoder.stem.patchify
    shown = {key: (cut(row) - 0.4).abs().amax(2) > 1e-6 for key, row in pictures.items()}
    assert shown["context"].any(1).all()
    assert shown["targets"].any(1).all()
    assert not (shown["context"] & shown["targets"]).any()
