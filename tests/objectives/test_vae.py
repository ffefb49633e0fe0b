"""The bound's two halves against torch.distributions, and the schedule of beta."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from clips import mels, spectrogram
from trivium.objectives.latent import divergence, negative_log_likelihood
from trivium.objectives.unsupervised.vae import VAE, traversals


@pytest.fixture
def settings():
    return {
        "latent_width": 5,
        "decoder_width": 8,
        "decoder_depth": 1,
        "beta": 1.0,
        "warmup": 0.0,
        "free_bits": 0.0,
    }


def test_divergence_equals_torch_distributions():
    mu, log_variance = torch.randn(2, 7, 5)
    expected = kl_divergence(Normal(mu, torch.exp(0.5 * log_variance)), Normal(0.0, 1.0))
    torch.testing.assert_close(divergence(mu, log_variance), expected)


def test_likelihood_is_that_of_a_normal_at_its_best_variance(encoder):
    target, prediction = torch.randn(2, 6, 16, 4)
    stem = encoder.stem
    likelihood = negative_log_likelihood(stem, stem.distance(prediction, target))

    def exact(std):
        return -Normal(prediction, std).log_prob(target).sum((1, 2)).mean()

    best = (prediction - target).square().mean().sqrt()
    torch.testing.assert_close(likelihood, exact(best))
    assert likelihood < exact(0.98 * best)
    assert likelihood < exact(1.02 * best)


def test_likelihood_of_clips_is_that_of_their_valid_tokens():
    stem, view = spectrogram(patch=(4, 16)).stem, mels([24, 13, 4])
    valid, target = stem.valid_tokens(view.valid), stem.target(view.values)
    prediction = target + torch.randn_like(target)
    likelihood = negative_log_likelihood(stem, stem.distance(prediction, target), valid)

    def exact(std):
        return -Normal(prediction[valid], std).log_prob(target[valid]).sum() / 3

    best = (prediction - target)[valid].square().mean().sqrt()
    torch.testing.assert_close(likelihood, exact(best))
    assert likelihood < exact(0.98 * best)
    every = negative_log_likelihood(stem, stem.distance(prediction, target), torch.ones_like(valid))
    untold = negative_log_likelihood(stem, stem.distance(prediction, target))
    torch.testing.assert_close(every, untold)


def test_shorter_batches_have_fewer_values(encoder):
    distance = torch.rand(3, 5)
    likelihood = negative_log_likelihood(encoder.stem, distance)
    expected = 0.5 * 5 * 4 * (math.log(2 * math.pi * distance.mean()) + 1)
    assert likelihood.item() == pytest.approx(expected, rel=1e-5)


def test_categorical_likelihood_sums_over_tokens(encoder, monkeypatch):
    monkeypatch.setattr(type(encoder.stem), "likelihood", "categorical")
    distance = torch.rand(6, 16)
    expected = distance.sum() / 6
    torch.testing.assert_close(negative_log_likelihood(encoder.stem, distance), expected)


def test_loss_is_the_negative_bound(encoder, data, one_view, settings):
    terms = VAE(encoder, data, **settings)(one_view)
    torch.testing.assert_close(terms["loss"].detach(), terms["reconstruction"] + terms["kl"])


def test_kl_is_summed_over_units_and_averaged_over_the_batch(encoder, data, one_view, settings):
    objective = VAE(encoder, data, **settings)
    (mu, log_variance), _ = objective.posterior(one_view.views[0])
    normal = Normal(mu, torch.exp(0.5 * log_variance))
    expected = kl_divergence(normal, Normal(0.0, 1.0)).sum(1).mean().detach()
    torch.testing.assert_close(objective(one_view)["kl"], expected)


def test_beta_grows_over_the_warmup(encoder, data, settings):
    objective = VAE(encoder, data, **settings | {"beta": 4.0, "warmup": 0.2})
    seen = [objective.annealing.strength.item()]
    for progress in (0.05, 0.1, 0.2, 0.9):
        objective.after_step(progress)
        seen.append(objective.annealing.strength.item())
    assert seen == pytest.approx([0, 1, 2, 4, 4])
    assert "annealing.strength" in objective.state_dict()


def test_free_bits_hold_the_kl_of_every_unit(encoder, data, one_view, settings):
    objective = VAE(encoder, data, **settings | {"free_bits": 0.5})
    for head in (objective.mu, objective.log_variance):
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    terms = objective(one_view)
    assert terms["kl"] == 0
    torch.testing.assert_close(terms["loss"].detach() - terms["reconstruction"], torch.tensor(2.5))
    assert terms["active_units"] == 0


def test_active_units_are_those_whose_mean_varies(encoder, data, one_view, settings):
    objective = VAE(encoder, data, **settings)
    with torch.no_grad():
        objective.mu.weight[:2] *= 100
        objective.mu.weight[2:] *= 1e-4
    assert objective(one_view)["active_units"] == 2


def test_pictures_hold_input_reconstruction_sample_and_traversals(
    encoder, data, one_view, settings
):
    pictures = VAE(encoder, data, **settings).pictures(one_view)
    rows = [f"traversal {n}" for n in (1, 2, 3)]
    assert list(pictures) == ["input", "reconstruction", "sample", *rows]
    for row in pictures.values():
        assert row.shape == (6, 1, 8, 8)
        assert 0 <= row.min() <= row.max() <= 1


def test_traversals_move_one_of_the_most_active_units_each():
    mu = torch.randn(7, 5) * torch.tensor([1.0, 0.1, 30.0, 0.0, 5.0])
    for unit, z in zip([2, 4, 0], traversals(mu, 3), strict=True):
        assert z[:, unit].tolist() == [-3, -2, -1, 0, 1, 2, 3]
        others = [other for other in range(5) if other != unit]
        assert torch.equal(z[:, others], mu[:1, others].expand(7, -1))
    assert len(traversals(mu[:, :2], 3)) == 2


def test_terms_are_finite_at_a_perfect_reconstruction(encoder):
    distance = torch.zeros(2, 16)
    assert math.isfinite(negative_log_likelihood(encoder.stem, distance))
