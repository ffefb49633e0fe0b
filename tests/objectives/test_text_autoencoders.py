"""Autoencoder and VAE on texts: padding does not count, and the bound is that of the words."""

import math

import pytest
import torch
from torch.distributions import Categorical, Normal, kl_divergence
from torch.nn import functional as F

from trivium.encoders.text import TextTransformer
from trivium.objectives.unsupervised.autoencoder import Autoencoder
from trivium.objectives.unsupervised.vae import VAE
from trivium.types import BOS, EOS, PAD, DataSpec, View, Views

TEXTS = DataSpec("short", "text", (12,), 0, 100, (), (), vocabulary=20)
CODE = {"latent_width": 5, "decoder_width": 16, "decoder_depth": 1}
BOUND = {"beta": 1.0, "warmup": 0.0, "free_bits": 0.0}
LENGTHS = torch.tensor([12, 9, 5, 2])

kinds = pytest.mark.parametrize("kind", [Autoencoder, VAE])


def build(kind, **settings):
    encoder = TextTransformer(TEXTS, name="text_test", width=16, depth=1, num_heads=2)
    if kind is VAE:
        settings = BOUND | settings
    objective = kind(encoder, TEXTS, **CODE | settings)
    with torch.no_grad():  # zeros and ones would hide mistakes
        for parameter in objective.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return objective


@pytest.fixture
def view():
    valid = torch.arange(12) < LENGTHS[:, None]
    ids = torch.randint(4, 20, (4, 12)).where(valid, PAD)
    ids[:, 0] = BOS
    return View(ids.scatter(1, LENGTHS[:, None] - 1, EOS), valid)


def at_seed(function, *args):
    torch.manual_seed(5)
    return function(*args)


def surprise(prediction, view):
    """-ln p of every valid token, one after another, by row."""
    return [
        -torch.stack(
            [Categorical(logits=prediction[row, t]).log_prob(ids[t]) for t in range(length)]
        )
        for row, (ids, length) in enumerate(zip(view.values, LENGTHS.tolist(), strict=True))
    ]


def test_the_autoencoder_s_loss_is_the_cross_entropy_of_valid_tokens(view):
    objective = build(Autoencoder)
    pooled = objective.encoder(view.values, view.valid).pooled
    prediction = objective.head(pooled)
    loss = objective(Views((view,)))["loss"]
    expected = F.cross_entropy(prediction[view.valid], view.values[view.valid])
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(loss, torch.cat(surprise(prediction, view)).mean())


def test_the_vae_s_reconstruction_is_summed_over_valid_tokens(view):
    objective = build(VAE)
    (mu, log_variance), _ = objective.posterior(view)
    torch.manual_seed(5)
    z = mu + (0.5 * log_variance).exp() * torch.randn_like(mu)
    expected = torch.stack([row.sum() for row in surprise(objective.decoder(z), view)]).mean()
    terms = at_seed(objective, Views((view,)))
    torch.testing.assert_close(terms["reconstruction"], expected.detach())
    torch.testing.assert_close(terms["loss"].detach(), terms["reconstruction"] + terms["kl"])


@kinds
def test_what_stands_in_the_padding_does_not_matter(kind, view):
    objective = build(kind)
    noise = View(view.values.where(view.valid, torch.randint(20, (4, 12))), view.valid)
    first, second = (at_seed(objective, Views((each,))) for each in (view, noise))
    for name, term in first.items():
        torch.testing.assert_close(second[name], term)


@kinds
def test_more_padding_changes_nothing(kind, view):
    objective = build(kind)
    ids, valid = view.values[1:], view.valid[1:]
    shorter = View(ids[:, :9], valid[:, :9])
    first, second = (at_seed(objective, Views((each,))) for each in (View(ids, valid), shorter))
    for name, term in first.items():
        torch.testing.assert_close(second[name], term)


@kinds
def test_padding_gets_no_gradient(kind, view):
    objective, predictions = build(kind), []

    def watch(module, args, output):
        output.retain_grad()
        predictions.append(output)

    decoder = objective.decoder if kind is VAE else objective.head.decoder
    decoder.register_forward_hook(watch)
    objective(Views((view,)))["loss"].backward()
    assert torch.equal(predictions[0].grad.abs().sum(-1) > 0, view.valid)


@kinds
def test_texts_without_padding_need_no_word_on_it(kind, view):
    objective, ids = build(kind), torch.randint(4, 20, (4, 12))
    told = View(ids, torch.ones(4, 12, dtype=torch.bool))
    first, second = (at_seed(objective, Views((each,))) for each in (View(ids), told))
    for name, term in first.items():
        torch.testing.assert_close(second[name], term)


@kinds
def test_every_token_is_predicted_from_the_code_alone(kind, view):
    """A word changes a prediction only by way of the pooled features."""
    objective = build(kind)
    with torch.no_grad():
        objective.encoder.trunk.norm.weight.zero_()
        objective.encoder.trunk.norm.bias.zero_()
    rows = objective.pictures(Views((view,)))["reconstruction"]
    assert (rows == rows[0]).all()


@kinds
def test_pictures_are_ids(kind, view):
    pictures = build(kind).pictures(Views((view,)))
    expected = ["input", "reconstruction"]
    if kind is VAE:
        expected += ["sample", "traversal 1", "traversal 2", "traversal 3"]
    assert list(pictures) == expected
    assert torch.equal(pictures["input"], view.values)
    for row in pictures.values():
        assert row.dtype == torch.int64
        assert row.shape == (4, 12)
        assert 0 <= row.min() <= row.max() < 20


def test_the_divergence_of_texts_equals_torch_distributions(view):
    objective = build(VAE)
    (mu, log_variance), _ = objective.posterior(view)
    exact = kl_divergence(Normal(mu, (0.5 * log_variance).exp()), Normal(0.0, 1.0))
    terms = objective(Views((view,)))
    torch.testing.assert_close(terms["kl"], exact.sum(1).mean().detach())
    units = exact.mean(0).detach()
    assert units.min() > 0
    middle = units.median().item()
    for beta in (1.0, 3.0):
        objective = build_like(objective, beta=beta, free_bits=middle)
        terms = at_seed(objective, Views((view,)))
        held = torch.where(units > middle, units, torch.full_like(units, middle)).sum()
        expected = terms["reconstruction"] + beta * held
        torch.testing.assert_close(terms["loss"].detach(), expected)
        torch.testing.assert_close(terms["kl"], units.sum())


def build_like(objective, **settings):
    other = build(VAE, **settings)
    weights = {k: v for k, v in objective.state_dict().items() if k != "annealing.strength"}
    other.load_state_dict(weights | {"annealing.strength": other.annealing.strength})
    return other


def test_free_bits_stop_the_pull_on_units_below_them(view):
    objective = build(VAE, free_bits=1e3)
    terms = at_seed(objective, Views((view,)))
    terms["loss"].backward()
    with_bits = objective.log_variance.bias.grad.clone()
    other = build_like(objective, beta=0.0)
    at_seed(other, Views((view,)))["loss"].backward()
    torch.testing.assert_close(with_bits, other.log_variance.bias.grad)
    assert terms["loss"].item() == pytest.approx(terms["reconstruction"].item() + 5e3, rel=1e-6)


def test_the_warm_up_weighs_the_divergence_of_texts(view):
    objective = build(VAE, beta=2.0, warmup=0.25)
    for progress, weight in {None: 0.0, 0.125: 1.0, 0.25: 2.0, 0.7: 2.0, 1.0: 2.0}.items():
        if progress is not None:
            objective.after_step(progress)
        terms = at_seed(objective, Views((view,)))
        expected = terms["reconstruction"] + weight * terms["kl"]
        torch.testing.assert_close(terms["loss"].detach(), expected)


def test_active_units_of_texts_are_those_whose_mean_varies(view):
    objective = build(VAE)
    with torch.no_grad():
        objective.mu.weight[:2] *= 100
        objective.mu.weight[2:] *= 1e-4
    (mu, _), _ = objective.posterior(view)
    assert ((mu.var(0, correction=0) > 0.01).tolist()) == [True, True, False, False, False]
    assert objective(Views((view,)))["active_units"] == 2


def memorise(objective, view, num_steps):
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-2)
    for step in range(num_steps):
        optimizer.zero_grad()
        terms = objective(Views((view,)))
        terms["loss"].backward()
        optimizer.step()
        objective.after_step((step + 1) / num_steps)
    return objective(Views((view,)))


def test_an_autoencoder_memorises_texts(view):
    objective = build(Autoencoder)
    assert memorise(objective, view, 60)["loss"] < 0.05
    rebuilt = objective.pictures(Views((view,)))["reconstruction"]
    assert torch.equal(rebuilt[view.valid], view.values[view.valid])


def test_the_posterior_of_memorised_texts_does_not_collapse(view):
    objective = build(VAE, warmup=0.5)
    terms = memorise(objective, view, 200)
    assert terms["active_units"] > 0
    assert terms["kl"] > math.log(4) - 0.3  # which of the four texts it is has to be told
    rebuilt = objective.pictures(Views((view,)))["reconstruction"]
    assert (rebuilt == view.values)[view.valid].float().mean() > 0.9
