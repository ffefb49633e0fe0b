"""The autoencoder's loss against the mean squared error, and its use of noise."""

import pytest
import torch
from torch.nn import functional as F

from trivium.objectives.unsupervised.autoencoder import Autoencoder


@pytest.fixture
def settings():
    return {"latent_width": 5, "decoder_width": 8, "decoder_depth": 1, "noise": 0.0}


def test_loss_is_the_squared_error_of_standardised_pixels(encoder, data, one_view, settings):
    objective = Autoencoder(encoder, data, **settings)
    view = one_view.views[0]
    images = encoder.stem.unpatchify(objective.reconstruct(view))
    expected = F.mse_loss(images, (view.values - 0.4) / 0.25)
    torch.testing.assert_close(objective(one_view)["loss"], expected)


def test_noise_corrupts_the_input_but_not_the_target(encoder, data, one_view, settings):
    clean = Autoencoder(encoder, data, **settings)
    noisy = Autoencoder(encoder, data, **settings | {"noise": 0.5})
    noisy.load_state_dict(clean.state_dict())
    view = one_view.views[0]
    torch.manual_seed(3)
    prediction = noisy.reconstruct(view)
    assert not torch.allclose(prediction, clean.reconstruct(view))
    torch.manual_seed(3)
    expected = encoder.stem.distance(prediction, encoder.stem.target(view.values)).mean()
    torch.testing.assert_close(noisy(one_view)["loss"], expected)


def test_pictures_hold_input_and_reconstruction(encoder, data, one_view, settings):
    pictures = Autoencoder(encoder, data, **settings).pictures(one_view)
    assert list(pictures) == ["input", "reconstruction"]
    assert torch.equal(pictures["input"], one_view.views[0].values)
    assert pictures["reconstruction"].shape == (6, 1, 8, 8)
    assert not pictures["reconstruction"].requires_grad
