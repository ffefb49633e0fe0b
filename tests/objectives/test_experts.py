"""Products of experts against multiplied densities, and their decoders' likelihoods."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from pairs import senses, spec, towers
from trivium.objectives.experts import Expert, Experts, product
from trivium.types import ModalityInput

GRID = np.linspace(-12, 12, 4801)


def made(mu, log_variance, present):
    batch = len(mu)
    valid = torch.ones(batch, 1, dtype=torch.bool)
    return Expert(torch.tensor(mu), torch.tensor(log_variance), torch.tensor(present), valid)


def moments(densities):
    """Mean and variance of a product of densities on the grid."""
    weight = np.prod(densities, axis=0)
    weight = weight / weight.sum()
    mean = (weight * GRID).sum()
    return mean, (weight * (GRID - mean) ** 2).sum()


@pytest.mark.parametrize("prior", [True, False])
@pytest.mark.parametrize("counted", [(True, True, True), (True, False, True), (False, True, False)])
def test_product_is_that_of_the_densities(prior, counted):
    means, deviations = [-1.0, 2.5, 0.3], [0.7, 1.6, 1.1]
    names = ["image", "text", "audio"]
    experts = {
        name: made([[mean]], [[2 * math.log(deviation)]], [True])
        for name, mean, deviation in zip(names, means, deviations, strict=True)
    }
    there = {name: torch.tensor([one]) for name, one in zip(names, counted, strict=True)}
    found = product(experts, there, prior=prior)
    densities = [norm.pdf(GRID)] if prior else []
    for one, mean, deviation in zip(counted, means, deviations, strict=True):
        if one:
            densities.append(norm.pdf(GRID, mean, deviation))
    mean, variance = moments(densities)
    assert found.mu.item() == pytest.approx(mean, abs=1e-5)
    assert found.log_variance.exp().item() == pytest.approx(variance, rel=1e-5)


def test_each_sample_has_its_own_experts():
    experts = {
        "image": made([[1.0], [1.0], [1.0]], [[0.5], [0.5], [0.5]], [True, False, False]),
        "text": made([[-2.0], [-2.0], [-2.0]], [[-1.0], [-1.0], [-1.0]], [False, True, False]),
    }
    there = {name: expert.present for name, expert in experts.items()}
    found = product(experts, there, prior=False)
    torch.testing.assert_close(found.mu, torch.tensor([[1.0], [-2.0], [0.0]]))
    torch.testing.assert_close(found.log_variance, torch.tensor([[0.5], [-1.0], [0.0]]))


def test_what_does_not_count_has_neither_value_nor_gradient():
    mu = torch.tensor([[math.nan], [1.0]], requires_grad=True)
    log_variance = torch.tensor([[math.inf], [0.0]], requires_grad=True)
    there = torch.tensor([False, True])
    expert = Expert(mu, log_variance, there, there[:, None])
    found = product({"image": expert}, {"image": there}, prior=True)
    assert found.mu.tolist() == [[0.0], [0.5]]
    (found.mu.sum() + found.log_variance.sum()).backward()
    assert mu.grad.tolist() == [[0.0], [0.5]]
    assert log_variance.grad[0] == 0
    assert log_variance.grad.isfinite().all()


def test_extreme_experts_stay_finite():
    sure = made([[3.0]], [[-200.0]], [True])
    unsure = made([[-3.0]], [[200.0]], [True])
    there = {"image": sure.present, "text": unsure.present}
    found = product({"image": sure, "text": unsure}, there, prior=False)
    assert found.mu.item() == pytest.approx(3.0)
    assert found.log_variance.item() == pytest.approx(-200.0)


@pytest.fixture
def data():
    return spec("image", "text", "audio")


def build(encoder, weights=None):
    return Experts(encoder, decoder_width=8, decoder_depth=1, weights=weights, prior=True)


def test_mean_of_an_expert_is_the_joint_space_before_its_length_is_one(data):
    encoder = towers(data)
    some = senses(data)
    found = build(encoder)(encoder, some)
    for one, features in encoder.each(some).items():
        lengths = found[one].mu.norm(dim=1, keepdim=True)
        torch.testing.assert_close(found[one].mu / lengths, encoder.joint(one, features.pooled))


def test_weights_let_all_modalities_count_alike(data):
    encoder = towers(data)
    # 3 x 16 x 16 pixels, 12 ids, 24 x 16 log-mel values.
    assert build(encoder).weights == {"image": 1, "text": 64, "audio": 2}
    given = {"image": 1.0, "text": 2.0, "audio": 0.5}
    assert build(encoder, given).weights == given
    with pytest.raises(ValueError, match=r"none for audio: set objective\.weights\.audio"):
        build(encoder, {"image": 1.0, "text": 2.0})
    # What the data lack may have a weight.
    assert build(towers(spec("image", "text")), given).weights == {"image": 1.0, "text": 2.0}


def test_surprise_is_the_negative_log_likelihood_of_what_counts(data):
    encoder = towers(data).eval()
    experts, some = build(encoder), senses(data)
    found = experts(encoder, some)
    counted = {
        "image": torch.tensor([True, True, False, True, False, True]),
        "text": torch.tensor([True, False, True, True, True, True]),
        "audio": torch.tensor([False, False, True, True, True, False]),
    }
    z = torch.randn(6, 8)
    surprise = experts.surprise(encoder, some, found, z, counted)
    for one in ("image", "audio"):
        stem = encoder.tower(one).stem
        valid = torch.ones(6, stem.num_tokens, dtype=torch.bool)
        if one == "audio":
            valid = stem.valid_tokens(some[one].valid)
        there = valid & counted[one][:, None]
        error = (experts.decoders[one](z) - stem.target(some[one].values))[there]
        likelihood = torch.distributions.Normal(0.0, error.square().mean().sqrt()).log_prob(error)
        torch.testing.assert_close(surprise[one], -likelihood.sum() / 6)
    logits, ids = experts.decoders["text"](z), some["text"].values
    total = 0.0
    for sample in range(6):
        for place in range(12):
            if counted["text"][sample] and some["text"].valid[sample, place]:
                total -= logits[sample, place].log_softmax(0)[ids[sample, place]]
    torch.testing.assert_close(surprise["text"], total / 6)


def test_what_nobody_has_costs_nothing_and_has_finite_gradients(data):
    encoder = towers(data)
    experts = build(encoder)
    nobody = [False] * 6
    some = senses(data, present={"audio": nobody, "text": nobody})
    found = experts(encoder, some)
    z = torch.randn(6, 8, requires_grad=True)
    surprise = experts.surprise(encoder, some, found, z, {m: e.present for m, e in found.items()})
    assert surprise["audio"] == surprise["text"] == 0
    experts.weigh(surprise).backward()
    assert z.grad.isfinite().all()
    for one in ("audio", "text"):
        for parameter in experts.decoders[one].parameters():
            assert (parameter.grad == 0).all()


@pytest.mark.parametrize("modalities", [("image", "text"), ("image", "text", "audio")])
def test_pictures_are_generated_from_the_other_modality_alone(modalities):
    data = spec(*modalities)
    encoder = towers(data).eval()
    experts, some = build(encoder), senses(data, present={"text": [True] * 5 + [False]})
    rows = experts.pictures(encoder, some)
    expected = []
    for one in modalities:
        expected += [one, *(f"{one} from {other}" for other in modalities if other != one)]
    assert list(rows) == expected
    for name, row in rows.items():
        assert row.shape == some[name.split()[0]].values.shape
    other = {**some, "image": ModalityInput(torch.rand_like(some["image"].values))}
    again = experts.pictures(encoder, other)
    assert torch.equal(rows["image from text"], again["image from text"])
    assert not torch.equal(rows["text from image"], again["text from image"])
    stem = encoder.tower("image").stem
    blank = stem.render(experts.decoders["image"](torch.zeros(1, 8)))[0]
    torch.testing.assert_close(rows["image from text"][5], blank)
