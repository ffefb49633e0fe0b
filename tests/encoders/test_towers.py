"""Towers: composition, fusion, missing modalities, the joint space, loading and freezing."""

import pytest
import torch

from pairs import senses, spec, towers
from trivium.encoders.checkpoint import load_encoder, save_encoder
from trivium.types import DataSpec

PAIRS = [("image", "text"), ("text", "audio"), ("image", "audio"), ("image", "text", "audio")]
FUSIONS = ["concatenation", "cross_attention"]


@pytest.mark.parametrize("modalities", PAIRS)
@pytest.mark.parametrize("fusion", FUSIONS)
def test_fused_features_have_the_promised_width(modalities, fusion):
    data = spec(*modalities)
    encoder = towers(data, fusion=fusion).eval()
    features = encoder(senses(data))
    assert features.pooled.shape == (6, encoder.width)
    assert features.tokens.shape[:2] == features.valid.shape
    assert encoder.modalities == modalities


@pytest.mark.parametrize("fusion", FUSIONS)
def test_what_is_missing_has_no_influence(fusion):
    data = spec("image", "text", "audio")
    encoder = towers(data, fusion=fusion).eval()
    torch.nn.init.normal_(encoder.missing["text"])
    there = {"text": [True, False, True, True, False, True]}
    some = senses(data, present=there)
    other = dict(some)
    ids = some["text"].values.clone()
    ids[[1, 4]] = 7
    other["text"] = some["text"]._replace(values=ids)
    first, second = encoder(some).pooled, encoder(other).pooled
    torch.testing.assert_close(first, second)
    ids = some["text"].values.clone()
    ids[0] = 7
    other["text"] = some["text"]._replace(values=ids)
    changed = (encoder(other).pooled - first).abs().amax(1) > 1e-6
    assert changed.tolist() == [True] + [False] * 5


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_modality_that_nobody_has_may_be_left_out(fusion):
    data = spec("image", "text")
    encoder = towers(data, fusion=fusion).eval()
    absent = senses(data, present={"text": [False] * 6})
    alone = {"image": absent["image"]}
    torch.testing.assert_close(encoder(absent).pooled, encoder(alone).pooled)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_gradients_are_finite_where_modalities_are_missing(fusion):
    data = spec("image", "text")
    encoder = towers(data, fusion=fusion)
    there = {"image": [True] * 3 + [False] * 3, "text": [False] + [True] * 5}
    encoder(senses(data, present=there)).pooled.square().sum().backward()
    grads = [p.grad for p in encoder.parameters() if p.grad is not None]
    assert grads
    assert all(torch.isfinite(grad).all() for grad in grads)


def test_cross_attention_lets_one_modality_see_the_other():
    data = spec("image", "text")
    some = senses(data)
    other = dict(some)
    other["text"] = senses(data, seed=1)["text"]
    encoder = towers(data, fusion="cross_attention").eval()
    of_image = slice(0, encoder.width // 2)
    first, second = encoder(some).pooled[:, of_image], encoder(other).pooled[:, of_image]
    assert ((first - second).abs().amax(1) > 1e-6).all()
    apart = towers(data).eval()
    width = apart.tower("image").width
    torch.testing.assert_close(apart(some).pooled[:, :width], apart(other).pooled[:, :width])


def test_the_joint_space_is_a_projection_of_unit_length():
    data = spec("image", "text")
    encoder = towers(data).eval()
    pooled = encoder.each(senses(data))["text"].pooled
    joint = encoder.joint("text", pooled)
    expected = pooled @ encoder.project["text"].weight.T
    torch.testing.assert_close(joint, expected / expected.norm(dim=1, keepdim=True))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_it_is_saved_and_loaded(tmp_path, fusion):
    data = spec("image", "text", "audio")
    encoder = towers(data, fusion=fusion).eval()
    save_encoder(encoder, tmp_path, {})
    again = load_encoder(tmp_path)
    some = senses(data)
    assert torch.equal(encoder(some).pooled, again(some).pooled)
    assert again.data == data


def test_a_tower_begins_with_another_encoder_and_stays_frozen():
    data = spec("image", "text")
    encoder, other = towers(data), towers(data)
    encoder.load_tower("image", other.tower("image"), frozen=True)
    for mine, theirs in zip(
        encoder.tower("image").parameters(), other.tower("image").parameters(), strict=True
    ):
        assert torch.equal(mine, theirs)
        assert not mine.requires_grad
    encoder.train()
    assert not encoder.tower("image").training
    assert encoder.tower("text").training
    with pytest.raises(ValueError, match="the text tower cannot begin with"):
        encoder.load_tower("text", other.tower("image"), frozen=False)


def test_wrong_towers_are_refused():
    data = spec("image", "text")
    with pytest.raises(ValueError, match=r"no tower for it: set encoder\.text"):
        towers(data, text=None)
    with pytest.raises(ValueError, match="encodes image, not text"):
        towers(data, text=towers(data).arguments["image"])
    with pytest.raises(ValueError, match=r"is no encoder of trivium\.encoders"):
        towers(data, text={"_target_": "os.system"})
    with pytest.raises(ValueError, match="choose an encoder of image"):
        towers(data.part("image"))


def test_a_spec_of_several_comes_back_from_plain_values():
    data = spec("image", "text", "audio")
    assert DataSpec.of(data.plain()) == data
    assert "parts" not in data.part("image").plain()
