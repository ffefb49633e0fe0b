"""MoPoE's mixture against its parts, and its loss recomputed from distributions."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from pairs import THERE, assert_missing_is_ignored, senses, spec, towers
from trivium.objectives.experts import Expert
from trivium.objectives.unsupervised.mopoe import Mixture, MoPoE
from trivium.types import View, Views

SETTINGS = {
    "decoder_width": 8,
    "decoder_depth": 1,
    "weights": None,
    "beta": 1.0,
    "warmup": 0.0,
    "free_bits": 0.0,
}


def build(*modalities, **settings):
    data = spec(*modalities)
    return data, MoPoE(towers(data), data, **SETTINGS | settings)


def views(some):
    return Views((View(some),))


def test_samples_of_one_modality_have_its_expert():
    data, objective = build("image", "text")
    some = senses(data, present=THERE)
    experts = objective.experts(objective.encoder, some)
    mixture = objective.mixture(experts)
    assert mixture.available.sum(0).tolist() == [3, 1, 3, 3, 1, 1]
    chosen = mixture.choose()
    for one, samples in (("image", [1]), ("text", [4, 5])):
        torch.testing.assert_close(chosen.mu[samples], experts[one].mu[samples])
        torch.testing.assert_close(chosen.log_variance[samples], experts[one].log_variance[samples])
        torch.testing.assert_close(mixture.mean()[samples], experts[one].mu[samples])
        own = Normal(experts[one].mu, (0.5 * experts[one].log_variance).exp())
        kl = kl_divergence(own, Normal(0.0, 1.0))
        torch.testing.assert_close(mixture.divergence()[samples], kl[samples])


def test_components_are_the_products_of_all_subsets():
    data, objective = build("image", "text", "audio")
    experts = objective.experts(objective.encoder, senses(data))
    mixture = objective.mixture(experts)
    names = list(experts)
    subsets = [some for size in (1, 2, 3) for some in combinations(names, size)]
    assert len(mixture.mu) == len(subsets) == 7
    expected = 0
    for some, mu, log_variance in zip(subsets, mixture.mu, mixture.log_variance, strict=True):
        precision = sum((-experts[one].log_variance).exp() for one in some)
        mean = sum((-experts[one].log_variance).exp() * experts[one].mu for one in some) / precision
        torch.testing.assert_close(mu, mean)
        torch.testing.assert_close(log_variance, -precision.log())
        expected = expected + kl_divergence(Normal(mean, precision.rsqrt()), Normal(0.0, 1.0)) / 7
    torch.testing.assert_close(mixture.divergence(), expected)
    assert mixture.available.all()


def test_available_components_are_chosen_equally_often():
    number = 6000
    mu = torch.arange(7.0).view(7, 1, 1).expand(7, number, 1)
    available = torch.ones(7, number, dtype=torch.bool)
    available[[1, 3, 4, 6], : number // 2] = False
    chosen = Mixture(mu, torch.zeros_like(mu), available).choose().mu[:, 0].long()
    few = chosen[: number // 2].bincount(minlength=7)
    assert few[[1, 3, 4, 6]].sum() == 0
    assert (few[[0, 2, 5]] - 1000).abs().max() < 4 * math.sqrt(1000)
    many = chosen[number // 2 :].bincount(minlength=7)
    assert (many - 3000 / 7).abs().max() < 4 * math.sqrt(3000 / 7)


def test_mean_of_divergences_bounds_that_of_the_mixture():
    """By quadrature in one dimension."""
    grid = np.linspace(-15, 15, 6001)
    mu, deviation = np.array([-2.0, 1.5, 0.4]), np.array([0.5, 1.3, 0.4])
    density = norm.pdf(grid[:, None], mu, deviation).mean(1)
    exact = (density * (np.log(density) - norm.logpdf(grid))).sum() * (grid[1] - grid[0])
    shape = (3, 1, 1)
    mixture = Mixture(
        torch.tensor(mu).float().view(shape),
        2 * torch.tensor(deviation).float().log().view(shape),
        torch.ones(3, 1, dtype=torch.bool),
    )
    bound = mixture.divergence().item()
    assert exact < bound < exact + math.log(3)


@pytest.mark.parametrize("present", [None, THERE])
def test_loss_is_that_of_the_formula(present):
    data, objective = build("image", "text", beta=2.0)
    some = senses(data, present=present)
    torch.manual_seed(5)
    terms = objective(views(some))
    torch.manual_seed(5)
    experts = objective.experts(objective.encoder, some)
    mixture = objective.mixture(experts)
    chosen = mixture.choose()
    z = chosen.mu + (0.5 * chosen.log_variance).exp() * torch.randn(6, 8)
    expected = 2 * mixture.divergence().sum() / 6
    decoders, towers_ = objective.experts.decoders, objective.encoder
    there = experts["image"].present
    target = towers_.tower("image").stem.target(some["image"].values)
    error = (decoders["image"](z) - target)[there]
    normal = Normal(0.0, error.square().mean().sqrt())
    expected = expected - normal.log_prob(error).sum() / 6
    valid = some["text"].valid & experts["text"].present[:, None]
    logits = decoders["text"](z)[valid]
    nats = F.cross_entropy(logits, some["text"].values[valid], reduction="sum")
    expected = expected + 64 * nats / 6
    torch.testing.assert_close(terms["loss"], expected)
    torch.testing.assert_close(terms["kl"], mixture.divergence().sum().detach() / 6)


@pytest.mark.parametrize("modalities", [("image", "text"), ("image", "text", "audio")])
def test_what_a_sample_lacks_has_no_influence(modalities):
    data, objective = build(*modalities)
    assert_missing_is_ignored(objective, data)


def test_active_units_are_those_of_the_mixtures_mean():
    data, objective = build("image", "text")

    def experts(encoder, some):
        mu = torch.zeros(6, 8)
        mu[:, :3] = torch.randn(6, 3)
        present = torch.ones(6, dtype=torch.bool)
        one = Expert(mu, torch.zeros(6, 8), present, present[:, None].expand(6, 4))
        other = Expert(mu, torch.zeros(6, 8), present, some["text"].valid)
        return {"image": one, "text": other}

    objective.experts.forward = experts
    assert objective(views(senses(data)))["active_units"] == 3


def test_pictures_and_warmup_are_there():
    data, objective = build("image", "audio", beta=3.0, warmup=0.5)
    assert objective.annealing.strength == 0
    objective.after_step(0.25)
    assert objective.annealing.strength.item() == pytest.approx(1.5)
    rows = objective.pictures(views(senses(data)))
    assert list(rows) == ["image", "image from audio", "audio", "audio from image"]
