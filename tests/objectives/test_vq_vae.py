"""VQ-VAE: the loss of 1711.00937, Eq. 3, the straight-through gradient, and what moves when.

Tolerances are those of torch.testing.assert_close for float32.
"""

import copy

import pytest
import torch
from torch.nn import functional as F

from trivium.encoders.resnet import ResNet
from trivium.objectives.unsupervised.vq_vae import VQVAE


@pytest.fixture
def settings():
    return {
        "num_codes": 10,
        "code_width": 3,
        "decay": 0.99,
        "commitment": 0.25,
        "restart": 0.05,
        "decoder_width": 8,
        "decoder_depth": 1,
        "decoder_num_heads": 2,
    }


@pytest.fixture
def objective(encoder, data, settings, one_view):
    """A VQ-VAE whose codebook has seen a batch, so that it moves smoothly from now on."""
    objective = VQVAE(encoder, data, **settings)
    objective(one_view)
    return objective


def test_loss_is_reconstruction_and_commitment(objective, encoder, one_view):
    objective.eval()
    values = one_view.views[0].values
    z = objective.narrow(encoder(values).tokens)
    distance = torch.cdist(z.flatten(0, 1), objective.codebook.codes)
    codes = objective.codebook.codes[distance.argmin(1)].view_as(z)
    tokens = objective.decoder(objective.enter(codes) + objective.positions)
    images = encoder.stem.unpatchify(objective.predict(tokens))
    reconstruction = F.mse_loss(images, (values - 0.4) / 0.25)
    commitment = F.mse_loss(z, codes)
    terms = objective(one_view)
    torch.testing.assert_close(terms["reconstruction"], reconstruction.detach())
    torch.testing.assert_close(terms["commitment"], commitment.detach())
    torch.testing.assert_close(terms["loss"], reconstruction + 0.25 * commitment)


def test_the_gradient_passes_the_codes_straight(objective, one_view):
    objective.eval()
    view = one_view.views[0]
    coded = objective.quantise(view)
    z = coded.before.detach().requires_grad_()
    codes = coded.quantised.values.view_as(z).requires_grad_()
    weight = torch.randn(6, 16, 4)
    (objective.decode(coded._replace(before=z)) * weight).sum().backward()
    tokens = objective.enter(codes) + objective.positions
    (objective.predict(objective.decoder(tokens)) * weight).sum().backward()
    torch.testing.assert_close(z.grad, codes.grad)
    assert z.grad.abs().min() > 0


def test_commitment_pulls_the_encoder_towards_the_codes(objective, one_view):
    objective.eval()
    for parameter in objective.predict.parameters():
        torch.nn.init.zeros_(parameter)  # no gradient of the reconstruction
    coded = objective.quantise(one_view.views[0])
    difference = coded.before.detach() - coded.quantised.values.view_as(coded.before)
    bias = objective.narrow.bias
    objective(one_view)["loss"].backward()
    expected = 0.25 * 2 * difference.mean((0, 1)) / 3
    torch.testing.assert_close(bias.grad, expected)


def test_the_codebook_learns_only_in_steps(objective, one_view):
    before = copy.deepcopy(objective.codebook.state_dict())

    def moved():
        return any(
            not torch.equal(before[k], v) for k, v in objective.codebook.state_dict().items()
        )

    objective.pictures(one_view)
    with torch.no_grad():
        objective(one_view)
    objective.eval()(one_view)
    copy.deepcopy(objective.train())(one_view)
    assert not moved()
    objective(one_view)
    assert moved()


def test_a_resumed_run_repeats_the_step(objective, data, encoder, settings, one_view):
    other = VQVAE(copy.deepcopy(encoder), data, **settings)
    other.load_state_dict(objective.state_dict())
    seen = []
    for each in (objective, other):
        torch.manual_seed(9)
        each(one_view)
        seen.append(each(one_view)["loss"])
    assert torch.equal(*seen)


def test_terms_count_the_codes(objective, one_view):
    objective.eval()
    ids = objective.quantise(one_view.views[0]).quantised.ids
    share = ids.unique(return_counts=True)[1] / len(ids)
    assert len(share) > 1
    expected = share.pow(-share).prod()
    torch.testing.assert_close(objective(one_view)["perplexity"], expected)
    objective.codebook.counts.copy_(torch.tensor([2.0, 2.0] + 8 * [0.0]))
    assert objective(one_view)["codes_used"].item() == pytest.approx(2)


def test_an_encoder_with_its_own_grid_gets_a_code_per_token_of_the_stem(data, settings, one_view):
    encoder = ResNet(data, name="resnet_test", depth=18, patch=2)
    objective = VQVAE(encoder, data, **settings)
    coded = objective.quantise(one_view.views[0])
    assert coded.features.tokens.shape[1] == 1
    assert coded.before.shape == (6, 16, 3)
    assert objective.decode(coded).shape == (6, 16, 4)


def test_pictures_show_equal_codes_in_equal_shades(objective, encoder, one_view):
    objective.eval()
    pictures = objective.pictures(one_view)
    assert list(pictures) == ["input", "reconstruction", "codes"]
    ids = objective.quantise(one_view.views[0]).quantised.ids
    tiles = encoder.stem.patchify(pictures["codes"]).flatten(0, 1)
    assert torch.equal(tiles, tiles[:, :1].expand_as(tiles))
    shades = {(int(i), round(float(tile[0]), 5)) for i, tile in zip(ids, tiles, strict=True)}
    assert len(shades) == len(ids.unique()) == len({shade for _, shade in shades})
