"""SigLIP against transformers, a double loop and closed forms."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import SiglipConfig, SiglipModel

import naive_pairs
import pairs as small
from naive_pairs import DOUBLE, captioned, match_of, with_gradients
from trivium.objectives.self_supervised.siglip import SigLIP, classify
from trivium.training.optimizer import decay_groups
from trivium.types import View, Views

TRIPLE = small.spec("image", "text", "audio")
THERE = [True, True, False, True, True, True, False]
CAPTIONS = [0, 1, 0, 2, 1, 0, 1]


def make(data, pairs=None, scale=10.0, bias=None):
    torch.manual_seed(0)
    return SigLIP(small.towers(data), data, pairs=pairs, scale=scale, bias=bias)


def features(batch=7):
    generator = torch.Generator().manual_seed(1)
    first, second = F.normalize(torch.randn(2, batch, 8, generator=generator), dim=-1)
    settings = torch.tensor(6.0), torch.tensor(-1.5)
    return [leaf.requires_grad_() for leaf in (first, second, *settings)]


class Given(nn.Module):
    """Stands for a tower of transformers' model."""

    def __init__(self, pooled):
        super().__init__()
        self.pooled = pooled

    def forward(self, *args, **kwargs):
        return SimpleNamespace(pooler_output=self.pooled)


def theirs(first, second, scale, bias):
    """The loss of transformers' SigLIP on these features, and its gradients."""
    tiny = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    tiny["num_attention_heads"] = 2
    ends = {"vocab_size": 9, "bos_token_id": 1, "eos_token_id": 2}
    config = SiglipConfig(text_config={**tiny, **ends}, vision_config={**tiny, "image_size": 16})
    model = SiglipModel(config)
    model.vision_model, model.text_model = Given(first), Given(second)
    model.logit_scale.data.fill_(math.log(scale.item()))
    model.logit_bias.data.fill_(bias.item())
    loss = model(return_loss=True).loss
    leaves = [first, second, model.logit_scale, model.logit_bias]
    loss, *gradients, by_log_scale, by_bias = with_gradients(loss, leaves)
    return [loss, *gradients, by_log_scale.view(()) / scale.detach(), by_bias.view(())]


def test_loss_and_gradients_equal_those_of_transformers():
    first, second, scale, bias = leaves = features()
    units = F.normalize(first, dim=-1), F.normalize(second, dim=-1)  # as their model does
    loss, _ = classify(match_of(*units, captioned()), scale, bias)
    ours = with_gradients(loss, leaves)
    torch.testing.assert_close(ours, theirs(*leaves), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("there", [[True] * 7, THERE])
@pytest.mark.parametrize("captions", [list(range(7)), CAPTIONS])
def test_loss_and_gradients_equal_those_of_a_double_loop(there, captions):
    first, second, scale, bias = leaves = features()
    match = match_of(first, second, captioned(captions=captions, there=there))
    ours = with_gradients(classify(match, scale, bias)[0], leaves)
    loss = naive_pairs.siglip(first, second, scale, bias, captions, there)
    torch.testing.assert_close(ours, with_gradients(loss, leaves), rtol=1e-5, atol=1e-6)


def test_a_step_is_the_mean_over_pairs():
    objective, senses = make(TRIPLE), small.senses(TRIPLE, 5)
    terms = objective(Views((View(senses),)))
    found = objective.encoder.each(senses)
    joint = {one: objective.encoder.joint(one, found[one].pooled) for one in found}
    losses = [
        naive_pairs.siglip(
            joint[one], joint[other], 10.0, torch.tensor(-math.log(4)), range(5), [True] * 5
        )
        for one, other in (("image", "text"), ("image", "audio"), ("text", "audio"))
    ]
    torch.testing.assert_close(terms["loss"], sum(losses) / 3)
    assert terms["scale"].item() == pytest.approx(10)


def test_the_bias_begins_with_the_first_batch_and_stays():
    objective = make(DOUBLE)
    objective(Views((View(small.senses(DOUBLE, 9)),)))
    assert objective.bias.item() == pytest.approx(-math.log(8))
    terms = objective(Views((View(small.senses(DOUBLE, 5)),)))
    assert terms["bias"].item() == pytest.approx(-math.log(8))
    resumed = make(DOUBLE)
    resumed.load_state_dict(objective.state_dict())
    resumed(Views((View(small.senses(DOUBLE, 5)),)))
    assert resumed.bias.item() == pytest.approx(-math.log(8))


@pytest.mark.parametrize("bias", [-10.0, 0.0])
def test_a_bias_of_its_own_is_kept(bias):
    objective = make(DOUBLE, bias=bias)
    objective(Views((View(small.senses(DOUBLE, 9)),)))
    assert objective.bias.item() == bias


def test_the_bias_of_the_beginning_is_the_best_constant():
    first, second = torch.eye(6).split(3, dim=1)[0], torch.zeros(6, 3)  # all cosines are 0
    match = match_of(first, second, captioned(batch=6))
    objective = make(DOUBLE)
    objective.begin(6)
    best = objective.bias.detach().requires_grad_()
    loss, _ = classify(match, torch.tensor(10.0), best)
    assert loss.item() == pytest.approx(objective.plateau(6), rel=1e-6)
    (gradient,) = torch.autograd.grad(loss, best)
    assert gradient.item() == pytest.approx(0, abs=1e-6)
    # One match with probability 1/6, five times none with 5/6.
    assert objective.plateau(6) == pytest.approx(-math.log(1 / 6) - 5 * math.log(5 / 6))
    assert objective.plateau(1) == 0


def test_accuracy_is_over_both_directions():
    first, second = torch.eye(3), torch.eye(3)
    second[2] = torch.tensor([0.8, 0.0, 0.6])
    match = match_of(first, second, captioned(batch=3))
    _, accuracy = classify(match, torch.tensor(5.0), torch.tensor(0.0))
    assert accuracy.item() == pytest.approx((3 + 2) / 6)


def outcome(objective, senses):
    objective.zero_grad()
    loss = objective(Views((View(senses),)))["loss"]
    loss.backward()
    gradients = {name: one.grad for name, one in objective.named_parameters()}
    return loss.detach(), {k: v.clone() for k, v in gradients.items() if v is not None}


def test_what_stands_for_absent_inputs_does_not_matter():
    there = {"image": [True] * 5 + [False], "text": [False] + [True] * 5, "audio": [True] * 6}
    objective, senses = make(TRIPLE), small.senses(TRIPLE, 6, present=there)
    expected = outcome(objective, senses)
    senses["image"].values[5] = 0.9
    senses["text"].values[0] = senses["text"].values[1]
    torch.testing.assert_close(outcome(objective, senses), expected, rtol=1e-5, atol=1e-7)
    senses["image"].values[4] = 0.9
    assert not torch.isclose(outcome(objective, senses)[0], expected[0])


@pytest.mark.parametrize("there", [[False] * 4, [False, True, False, False]])
def test_a_batch_without_a_pair_costs_nothing_and_has_a_graph(there):
    loss, gradients = outcome(make(DOUBLE), small.senses(DOUBLE, 4, present={"text": there}))
    assert loss == 0
    assert {"log_scale", "bias"} <= set(gradients)
    assert all(not gradient.any() for gradient in gradients.values())


def test_scale_and_bias_are_not_decayed():
    objective = make(DOUBLE)
    (kept,) = [group for group in decay_groups(objective, 0.1) if group["weight_decay"] == 0]
    own = {id(objective.log_scale), id(objective.bias)}
    assert own <= {id(parameter) for parameter in kept["params"]}


def test_a_few_steps_tell_samples_apart():
    objective, views = make(DOUBLE), Views((View(small.senses(DOUBLE, 12)),))
    optimiser = torch.optim.Adam(objective.parameters(), lr=3e-3)
    for _ in range(80):
        optimiser.zero_grad()
        terms = objective(views)
        terms["loss"].backward()
        optimiser.step()
    assert terms["accuracy"] > 0.95
    assert terms["loss"] < 0.5 * objective.plateau(12)
