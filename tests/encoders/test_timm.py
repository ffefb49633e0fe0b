import sys

import pytest
import timm
import torch
from omegaconf import OmegaConf

from trivium.encoders.external import TimmEncoder

CASES = {
    "resnet10t": {},
    "vit_tiny_patch16_224": {"img_size": 32, "patch_size": 8, "depth": 2},
    "swin_tiny_patch4_window7_224": {"img_size": 32, "depths": [1, 1, 1, 1], "window_size": 2},
    "mobilenetv3_small_050": {},
}


def wrap(data, model, **settings):
    return TimmEncoder(data, name="timm_test", model=model, **settings).eval()


@pytest.mark.parametrize("model", CASES)
def test_agrees_with_timm_at_the_same_weights(colour, model):
    encoder = wrap(colour, model, options=CASES[model])
    twin = timm.create_model(model, num_classes=0, **CASES[model]).eval()
    twin.load_state_dict(encoder.trunk.state_dict())
    values = torch.rand(2, 3, 32, 32)
    features = encoder(values)
    assert features.pooled.shape == (2, encoder.width)
    torch.testing.assert_close(features.pooled, twin(encoder.stem.standardise(values)))
    assert features.tokens.shape == (2, features.valid.shape[1], encoder.token_width)
    if encoder.width == encoder.token_width and model.startswith(("resnet", "swin")):
        torch.testing.assert_close(features.tokens.mean(1), features.pooled)


def test_prefix_tokens_are_left_out(colour):
    model = "vit_tiny_patch16_224"
    assert wrap(colour, model, options=CASES[model])(torch.rand(1, 3, 32, 32)).tokens.shape[1] == 16


def test_grey_images_are_one_channel(grey):
    assert wrap(grey, "resnet10t")(torch.rand(2, 1, 28, 28)).pooled.shape == (2, 512)


def test_a_saved_encoder_never_asks_for_published_weights(grey):
    assert wrap(grey, "resnet10t").arguments["pretrained"] is False


def test_options_from_a_configuration_become_plain(grey):
    options = OmegaConf.create({"layers": [1, 1, 1, 1]})
    encoder = wrap(grey, "resnet10t", options=options)
    assert encoder.arguments["options"] == {"layers": [1, 1, 1, 1]}
    assert type(encoder.arguments["options"]["layers"]) is list


def test_missing_library_says_what_to_install(grey, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r"pip install -e '.\[timm\]'"):
        wrap(grey, "resnet10t")


def test_unknown_architectures_and_options_are_one_clear_sentence(grey):
    with pytest.raises(ValueError, match="no architecture 'hf-hub:some/where'"):
        wrap(grey, "hf-hub:some/where")
    with pytest.raises(ValueError, match="does not take the options"):
        wrap(grey, "resnet10t", options={"img_size": 28})
    with pytest.raises(ValueError, match=r"architecture only, but name \['checkpoint_path'\]"):
        wrap(grey, "resnet10t", options={"checkpoint_path": "any.pth"})
