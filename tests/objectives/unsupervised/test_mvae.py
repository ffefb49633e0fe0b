"""MVAE's bounds recomputed from their formulas, and by quadrature."""

import math

import pytest
import torch
from hydra.utils import instantiate
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from pairs import THERE, assert_missing_is_ignored, senses, spec, towers
from trivium.objectives.unsupervised.mvae import MVAE
from trivium.types import ModalityInput, View, Views
from yamls import read

SETTINGS = {
    "decoder_width": 8,
    "decoder_depth": 1,
    "weights": None,
    "num_subsets": 1,
    "beta": 1.0,
    "warmup": 0.0,
    "free_bits": 0.0,
}


def build(*modalities, **settings):
    data = spec(*modalities)
    return data, MVAE(towers(data), data, **SETTINGS | settings)


def views(some):
    return Views((View(some),))


def naive(objective, some, experts, counted, eps):
    """-B(X), from distributions, sample by sample."""
    precision, weighted = torch.ones(6, 8), torch.zeros(6, 8)
    for one, there in counted.items():
        own = (-experts[one].log_variance).exp() * there[:, None]
        precision, weighted = precision + own, weighted + own * experts[one].mu
    posterior = Normal(weighted / precision, precision.rsqrt())
    z = posterior.mean + posterior.stddev * eps
    loss = kl_divergence(posterior, Normal(0.0, 1.0)).sum() / 6
    for one, there in counted.items():
        stem = objective.encoder.tower(one).stem
        prediction, target = objective.experts.decoders[one](z), stem.target(some[one].values)
        if one == "text":
            chosen = some[one].valid & there[:, None]
            nats = F.cross_entropy(prediction[chosen], target[chosen], reduction="sum")
        else:
            error = (prediction - target)[there]
            nats = -Normal(0.0, error.square().mean().sqrt()).log_prob(error).sum()
        loss = loss + objective.experts.weights[one] * nats / 6
    return loss


@pytest.mark.parametrize("present", [None, THERE])
def test_loss_sums_the_bounds_of_all_and_of_each_alone(present):
    data, objective = build("image", "text")
    some = senses(data, present=present)
    torch.manual_seed(3)
    terms = objective(views(some))
    torch.manual_seed(3)
    eps = torch.randn(3, 6, 8)
    experts = objective.experts(objective.encoder, some)
    there = {one: experts[one].present for one in some}
    sets = [there, {"image": there["image"]}, {"text": there["text"]}]
    bounds = [naive(objective, some, experts, *each) for each in zip(sets, eps, strict=True)]
    torch.testing.assert_close(terms["loss"], sum(bounds))
    assert list(terms) == [
        "loss",
        "reconstruction_image",
        "reconstruction_text",
        "kl",
        "active_units",
    ]
    weights = objective.experts.weights
    parts = [weights[one] * terms[f"reconstruction_{one}"] for one in some]
    torch.testing.assert_close(sum(parts) + terms["kl"], bounds[0].detach())


def test_random_subsets_are_neither_one_modality_nor_all_nor_twice_the_same():
    _data, objective = build("image", "text", "audio", num_subsets=2)
    there = {one: torch.ones(3000, dtype=torch.bool) for one in ("image", "text", "audio")}
    there["audio"] = torch.arange(3000) < 1500
    alone, drawn = [*objective.subsets(there)][:3], [*objective.subsets(there)][3:]
    assert [list(one) for one in alone] == [["image"], ["text"], ["audio"]]
    assert torch.equal(alone[2]["audio"], there["audio"])
    assert len(drawn) == 2
    members = torch.stack([torch.stack([*one.values()], 1) for one in drawn])
    assert (members[:, :1500].sum(2) == 2).all()
    assert (members[0, :1500] != members[1, :1500]).any(1).all()
    # Pairs without what a sample lacks: two of three have one member left.
    assert not members[:, 1500:, 2].any()
    share = members[0, :1500].float().mean(0)
    assert (share - 2 / 3).abs().max() < 4 * math.sqrt(2 / 9 / 1500)
    assert len([*build("image", "text")[1].subsets({k: there[k] for k in ("image", "text")})]) == 2


def test_three_modalities_have_bounds_of_pairs_too():
    data, objective = build("image", "text", "audio", num_subsets=3)
    some, seen = senses(data), []
    original = objective.bound
    objective.bound = lambda *given: seen.append(given[2]) or original(*given)
    assert objective(views(some))["loss"].isfinite()
    assert [len(one) for one in seen] == [3, 1, 1, 1, 3, 3, 3]


@pytest.mark.parametrize("modalities", [("image", "text"), ("image", "text", "audio")])
def test_what_a_sample_lacks_has_no_influence(modalities):
    data, objective = build(*modalities)
    assert_missing_is_ignored(objective, data)


def test_bound_misses_the_evidence_by_the_divergence_from_the_true_posterior():
    """In one dimension, log p(x) - B = KL(q, p(z | x)); both sides but B by quadrature."""
    data = spec("image", "text")
    encoder = towers(data, joint_width=1).eval()
    objective = MVAE(encoder, data, **SETTINGS | {"weights": {"image": 1.0, "text": 1.0}})
    torch.nn.init.constant_(objective.experts.log_variance["text"].bias, -1.0)
    with torch.no_grad():
        objective.experts.decoders["text"].unfold[0].weight.mul_(4)
    text = senses(data)["text"]
    one = {"text": ModalityInput(text.values[:1], text.valid[:1])}
    many = {
        "text": ModalityInput(*(each[:1].expand(4096, -1) for each in (text.values, text.valid)))
    }
    with torch.no_grad():
        (expert,) = objective.experts(encoder, one).values()
        there = torch.ones(1, dtype=torch.bool)
        mu, log_variance = objective.experts.product({"text": expert}, {"text": there})
        experts = objective.experts(encoder, many)
        loss, _ = objective.bound(many, experts, {"text": there.expand(4096)})
        grid = torch.linspace(-8, 8, 2001)[:, None]
        logits = objective.experts.decoders["text"](grid).log_softmax(-1)
        picked = logits.gather(2, one["text"].values.expand(2001, -1)[..., None])[..., 0]
        likelihood = (picked * one["text"].valid).sum(1).double()
    step = 16 / 2000
    prior = Normal(0.0, 1.0).log_prob(grid[:, 0]).double()
    evidence = (likelihood + prior).logsumexp(0) + math.log(step)
    chosen = Normal(mu, (0.5 * log_variance).exp()).log_prob(grid)[:, 0].double()
    gap = (chosen.exp() * (chosen - (likelihood + prior - evidence))).sum() * step
    assert gap > 0.01
    spread = math.sqrt(
        (chosen.exp() * likelihood.square()).sum() * step
        - ((chosen.exp() * likelihood).sum() * step) ** 2
    )
    assert (evidence + loss - gap).abs() < 4 * spread / 64


def test_beta_grows_and_free_bits_are_those_of_the_samples_that_count():
    _data, objective = build("image", "text", beta=4.0, warmup=0.2, free_bits=0.5)
    seen = [objective.annealing.strength.item()]
    for progress in (0.05, 0.2, 0.9):
        objective.after_step(progress)
        seen.append(objective.annealing.strength.item())
    assert seen == pytest.approx([0, 1, 4, 4])
    kl = torch.tensor([[0.1, 2.0], [0.3, 1.0], [0.0, 0.0], [0.0, 0.0]])
    price, nats = objective.annealing(kl, torch.tensor([True, True, False, False]))
    assert price.item() == pytest.approx(4 * (0.25 + 0.75))
    assert nats.item() == pytest.approx(0.1 + 0.75)


def test_every_parameter_that_is_used_has_a_gradient():
    data, objective = build("image", "text")
    objective(views(senses(data)))["loss"].backward()
    optional = tuple(f"encoder.{one}" for one in ("missing.", "enter.", "marks.", "blocks."))
    lost = [name for name, each in objective.named_parameters() if each.grad is None]
    assert [name for name in lost if not name.startswith(optional)] == []


@pytest.mark.parametrize("name", ["mvae", "mopoe"])
def test_it_is_built_from_its_yaml(name):
    data = spec("image", "text", "audio")
    config = read(f"objective/unsupervised/{name}.yaml").objective
    objective = instantiate(config, encoder=towers(data), data=data)
    assert objective(views(senses(data)))["loss"].isfinite()
