"""MAE's loss against transformers 5.23 (`ViTMAEForPreTraining`), and no leaks."""

import pytest
import torch

from trivium.encoders.vit import ViT
from trivium.objectives.masking import keep_random
from trivium.objectives.self_supervised.mae import MAE
from trivium.transforms.masking import Mask
from trivium.types import Tokens, View

SETTINGS = {
    "ratio": 0.75,
    "normalise": True,
    "decoder_width": 16,
    "decoder_depth": 1,
    "decoder_num_heads": 2,
}


@pytest.fixture
def objective(encoder, data):
    return MAE(encoder, data, **SETTINGS)


@pytest.mark.parametrize("normalise", [True, False])
def test_loss_equals_transformers(data, normalise):
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    decoder = {"decoder_hidden_size": 8, "decoder_num_hidden_layers": 1}
    config = ViTMAEConfig(
        **small,
        **decoder,
        decoder_num_attention_heads=2,
        image_size=8,
        patch_size=2,
        num_channels=3,
        norm_pix_loss=normalise,
    )
    colour = data._replace(shape=(3, 8, 8), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    encoder = ViT(colour, name="vit_test", patch=2, width=16, depth=1, num_heads=2)
    objective = MAE(encoder, colour, **SETTINGS | {"normalise": normalise})
    view = View(torch.rand(5, 3, 8, 8))
    with torch.no_grad():
        theirs = ViTMAEForPreTraining(config)(encoder.stem.standardise(view.values))
    # Their patches hold (row, column, channel), ours (channel, row, column).
    prediction = theirs.logits.unflatten(2, (2, 2, 3)).permute(0, 1, 4, 2, 3).flatten(2)
    mask = Mask(*torch.empty(2, 5, 4, dtype=torch.long), theirs.mask.bool())
    ours = objective.score(prediction, view, mask)
    torch.testing.assert_close(ours, theirs.loss, rtol=1e-5, atol=1e-6)


def test_encoder_sees_a_quarter_of_the_tokens(objective, one_view):
    tokens = objective.encoder.embed(one_view.views[0].values)
    visible, mask = keep_random(objective.masking, tokens)
    assert visible.values.shape == (6, 4, 16)
    assert mask.keep.shape == (6, 4)
    assert mask.mask.sum(1).tolist() == [12] * 6
    for sample in range(6):
        assert torch.equal(visible.values[sample], tokens.values[sample, mask.keep[sample]])


def test_hidden_pixels_do_not_reach_the_prediction(objective, one_view):
    view = one_view.views[0]
    _, mask = keep_random(objective.masking, objective.encoder.embed(view.values))
    patches = objective.encoder.stem.patchify(view.values)
    hidden = mask.mask.bool().unsqueeze(-1)

    def predict(values):
        images = objective.encoder.stem.unpatchify(values)
        tokens, valid, _ = objective.encoder.embed(images)
        kept = tokens.gather(1, mask.keep.unsqueeze(-1).expand(-1, -1, 16))
        features = objective.encoder.contextualise(Tokens(kept, valid[:, :4]))
        return objective.decode(features, mask, valid)

    prediction = predict(patches)
    assert torch.equal(prediction, predict(torch.where(hidden, torch.rand(6, 16, 4), patches)))
    assert not torch.equal(prediction, predict(torch.where(hidden, patches, 1 - patches)))


def test_visible_tokens_carry_no_loss(objective, one_view):
    view = one_view.views[0]
    _, mask = keep_random(objective.masking, objective.encoder.embed(view.values))
    prediction = torch.randn(6, 16, 4, requires_grad=True)
    objective.score(prediction, view, mask).backward()
    touched = prediction.grad.abs().sum(2) > 0
    assert torch.equal(touched, mask.mask.bool())


def test_decoder_puts_every_token_back_in_its_place(objective, one_view):
    del objective.decoder
    tokens = objective.encoder.embed(one_view.views[0].values)
    visible, mask = keep_random(objective.masking, tokens)
    features = objective.encoder.contextualise(visible)
    objective.decoder = lambda values, valid: values
    prediction = objective.decode(features, mask, tokens.valid)
    blank = objective.predict(objective.mask_token + objective.positions)
    seen = objective.enter(features.tokens)
    for sample in range(6):
        expected = blank.clone()
        for slot, place in enumerate(mask.keep[sample].tolist()):
            own = seen[sample, slot] + objective.positions[place]
            expected[place] = objective.predict(own)
        torch.testing.assert_close(prediction[sample], expected)


@pytest.mark.parametrize("pooling", ["mean", "cls", "both", "grid"])
def test_every_pooling_can_be_pretrained(data, one_view, pooling):
    shape = {"patch": 2, "width": 16, "depth": 1, "num_heads": 2}
    encoder = ViT(data, name="vit_test", **shape, pooling=pooling)
    assert MAE(encoder, data, **SETTINGS)(one_view)["loss"].isfinite()


@pytest.mark.parametrize("normalise", [True, False])
def test_pictures_keep_what_was_visible(encoder, data, one_view, normalise):
    objective = MAE(encoder, data, **SETTINGS | {"normalise": normalise})
    pictures = objective.pictures(one_view)
    assert list(pictures) == ["input", "masked", "filled"]
    rows = {key: encoder.stem.patchify(row) for key, row in pictures.items()}
    hidden = (rows["masked"] - 0.4).abs().amax(2) < 1e-6
    assert hidden.sum(1).tolist() == [12] * 6
    for key in ("masked", "filled"):
        torch.testing.assert_close(rows[key][~hidden], rows["input"][~hidden])
    assert not torch.allclose(rows["filled"][hidden], rows["input"][hidden])
    if normalise:
        # Predictions near zero are rendered around each patch's own mean.
        torch.nn.init.zeros_(objective.predict.weight)
        torch.nn.init.zeros_(objective.predict.bias)
        filled = encoder.stem.patchify(objective.pictures(one_view)["filled"])
        torch.testing.assert_close(filled.mean(2), rows["input"].mean(2))
