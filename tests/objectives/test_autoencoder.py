"""The autoencoder's loss against the mean squared error; padding is not predicted."""

import pytest
import torch
from torch.nn import functional as F

from trivium.encoders.layers import every_token
from trivium.objectives.latent import mean_over_valid
from trivium.objectives.unsupervised.autoencoder import Autoencoder
from trivium.types import Features


@pytest.fixture
def settings():
    return {"latent_width": 5, "decoder_width": 8, "decoder_depth": 1}


def test_loss_is_the_squared_error_of_standardised_pixels(encoder, data, one_view, settings):
    objective = Autoencoder(encoder, data, **settings)
    values = one_view.views[0].values
    images = encoder.stem.unpatchify(objective.head(encoder(values).pooled))
    expected = F.mse_loss(images, (values - 0.4) / 0.25)
    torch.testing.assert_close(objective(one_view)["loss"], expected)


def test_all_passes_through_the_code(encoder, data, one_view, settings):
    objective = Autoencoder(encoder, data, **settings | {"latent_width": 2})
    pooled = encoder(one_view.views[0].values).pooled
    jacobian = torch.autograd.functional.jacobian(objective.head, pooled[:1])
    assert torch.linalg.matrix_rank(jacobian.reshape(-1, 16), rtol=1e-4) == 2


def test_tokens_that_hold_no_data_do_not_count(encoder):
    valid = torch.tensor([[True, True, False], [True, False, False]])
    score = torch.tensor([[1.0, 2.0, torch.nan], [6.0, torch.inf, 7.0]], requires_grad=True)
    tokens = torch.zeros(2, 3, 4)
    mean = mean_over_valid(score, Features(tokens, tokens[:, 0], valid))
    mean.backward()
    assert mean.item() == pytest.approx(3)
    torch.testing.assert_close(score.grad, valid.float() / 3)
    everything = Features(tokens, tokens[:, 0], every_token(tokens))
    assert mean_over_valid(torch.ones(2, 3), everything) == 1


def test_pictures_hold_input_and_reconstruction(encoder, data, one_view, settings):
    pictures = Autoencoder(encoder, data, **settings).pictures(one_view)
    assert list(pictures) == ["input", "reconstruction"]
    torch.testing.assert_close(pictures["input"], one_view.views[0].values)
    assert pictures["reconstruction"].shape == (6, 1, 8, 8)
    assert not pictures["reconstruction"].requires_grad
