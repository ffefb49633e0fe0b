"""CLIP against transformers, a double loop and closed forms."""

import math

import pytest
import torch
from torch.nn import functional as F
from transformers.models.clip.modeling_clip import image_text_contrastive_loss

import naive_pairs
import pairs as small
from naive_pairs import DOUBLE, captioned, match_of, with_gradients
from trivium.objectives.self_supervised.clip import CLIP, contrast
from trivium.training.optimizer import decay_groups
from trivium.types import ModalityInput, View, Views

TRIPLE = small.spec("image", "text", "audio")
IMAGE_BIND = [["image", "text"], ["image", "audio"]]
THERE = [True, True, False, True, True, True, False]
CAPTIONS = [0, 1, 0, 2, 1, 0, 1]  # of those that are there 1 and 4, 0 and 5 share theirs


def make(data, pairs=None, temperature=0.07):
    torch.manual_seed(0)
    return CLIP(small.towers(data), data, pairs=pairs, temperature=temperature)


def features(batch=7):
    generator = torch.Generator().manual_seed(1)
    first, second = F.normalize(torch.randn(2, batch, 8, generator=generator), dim=-1)
    scale = torch.tensor(9.0, requires_grad=True)
    return first.requires_grad_(), second.requires_grad_(), scale


def test_loss_and_gradients_equal_those_of_transformers():
    first, second, scale = leaves = features()
    loss, _ = contrast(match_of(first, second, captioned()), scale)
    theirs = image_text_contrastive_loss(scale * second @ first.T)
    ours = with_gradients(loss, leaves)
    torch.testing.assert_close(ours, with_gradients(theirs, leaves), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("there", [[True] * 7, THERE])
@pytest.mark.parametrize("captions", [list(range(7)), CAPTIONS])
def test_loss_and_gradients_equal_those_of_a_double_loop(there, captions):
    first, second, scale = leaves = features()
    match = match_of(first, second, captioned(captions=captions, there=there))
    loss, _ = contrast(match, scale)
    theirs = naive_pairs.clip(first, second, scale, captions, there)
    ours = with_gradients(loss, leaves)
    torch.testing.assert_close(ours, with_gradients(theirs, leaves), rtol=1e-5, atol=1e-7)


def test_a_step_is_the_mean_over_pairs():
    objective = make(TRIPLE)
    senses = captioned(TRIPLE, captions=CAPTIONS, there=THERE)
    terms = objective(Views((View(senses),)))
    found = objective.encoder.each(senses)
    joint = {one: objective.encoder.joint(one, found[one].pooled) for one in found}
    # Those without a text are the same as nobody.
    text = [
        words if there else -1 - row
        for row, words, there in zip(range(7), CAPTIONS, THERE, strict=True)
    ]
    losses = [
        naive_pairs.clip(joint[one], joint[other], 1 / 0.07, text, there)
        for one, other, there in (
            ("image", "text", THERE),
            ("image", "audio", [True] * 7),
            ("text", "audio", THERE),
        )
    ]
    torch.testing.assert_close(terms["loss"], sum(losses) / 3)
    assert terms["scale"].item() == pytest.approx(1 / 0.07)


def test_accuracy_is_over_both_directions():
    # Each of the first finds its own; of the second, 2 is nearer to the first 0.
    first, second = torch.eye(3), torch.eye(3)
    second[2] = torch.tensor([0.8, 0.0, 0.6])
    _, accuracy = contrast(match_of(first, second, captioned(batch=3)), torch.tensor(5.0))
    assert accuracy.item() == pytest.approx((3 + 2) / 6)


def test_equal_features_sit_on_the_plateau():
    same = F.normalize(torch.ones(7, 8), dim=-1)
    loss, _ = contrast(match_of(same, same, captioned()), torch.tensor(14.0))
    assert loss.item() == pytest.approx(math.log(7), rel=1e-6)
    assert make(DOUBLE).plateau(7) == pytest.approx(math.log(7))


def outcome(objective, senses):
    objective.zero_grad()
    terms = objective(Views((View(senses),)))
    terms["loss"].backward()
    gradients = {name: one.grad for name, one in objective.named_parameters()}
    return terms["loss"].detach(), {k: v.clone() for k, v in gradients.items() if v is not None}


def test_what_stands_for_absent_inputs_does_not_matter():
    there = {"image": [True] * 5 + [False], "text": [False] + [True] * 5, "audio": [True] * 6}
    objective, senses = make(TRIPLE), small.senses(TRIPLE, 6, present=there)
    expected = outcome(objective, senses)
    senses["image"].values[5] = 0.9
    senses["text"].values[0] = senses["text"].values[1]  # nor is it the same text as another's
    found = outcome(objective, senses)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    senses["image"].values[4] = 0.9
    assert not torch.isclose(outcome(objective, senses)[0], expected[0])


@pytest.mark.parametrize("there", [[False] * 4, [False, True, False, False]])
def test_a_batch_without_a_pair_costs_nothing_and_has_a_graph(there):
    loss, gradients = outcome(make(DOUBLE), small.senses(DOUBLE, 4, present={"text": there}))
    assert loss == 0
    assert "log_scale" in gradients
    assert all(not gradient.any() for gradient in gradients.values())


def test_texts_do_not_meet_sounds_where_no_pair_names_them():
    there = {"image": [True] * 4 + [False] * 2}
    senses, other = (small.senses(TRIPLE, 6, seed=seed, present=there) for seed in (0, 1))
    changed = dict(senses)
    for one in ("text", "audio"):  # of the samples without an image
        values, valid, present, _ = (None if part is None else part.clone() for part in senses[one])
        values[4:], valid[4:] = other[one].values[4:], other[one].valid[4:]
        changed[one] = ModalityInput(values, valid, present)
    bound, everything = make(TRIPLE, IMAGE_BIND), make(TRIPLE)
    expected = outcome(bound, senses)
    torch.testing.assert_close(outcome(bound, changed), expected, rtol=1e-5, atol=1e-7)
    found = outcome(everything, senses)[0]
    assert not torch.isclose(outcome(everything, changed)[0], found, rtol=1e-3)


def test_scale_is_clamped_after_a_step_and_not_decayed():
    objective = make(DOUBLE)
    for value, expected in ((9.0, math.log(100)), (-1.0, 0.0), (3.0, 3.0)):
        objective.log_scale.data.fill_(value)
        objective.after_step(0.5)
        assert objective.log_scale.item() == pytest.approx(expected)
    (kept,) = [group for group in decay_groups(objective, 0.1) if group["weight_decay"] == 0]
    assert any(parameter is objective.log_scale for parameter in kept["params"])


def test_loss_is_computed_in_float32_under_autocast():
    first, second, scale = features()
    match = match_of(first, second, captioned())
    expected = contrast(match, scale)[0]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(contrast(match, scale)[0], expected)


def test_a_few_steps_tell_samples_apart():
    objective, views = make(TRIPLE, IMAGE_BIND), Views((View(small.senses(TRIPLE, 12)),))
    optimiser = torch.optim.Adam(objective.parameters(), lr=3e-3)
    for _ in range(60):
        optimiser.zero_grad()
        terms = objective(views)
        terms["loss"].backward()
        optimiser.step()
        objective.after_step(0.0)
    assert terms["accuracy"] > 0.95
    assert terms["loss"] < 0.3 * math.log(12)
