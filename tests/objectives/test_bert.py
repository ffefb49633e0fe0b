"""BERT's head and loss against transformers 5.23 (`BertForMaskedLM`), and what is hidden."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import BertConfig, BertForMaskedLM

from masked_language import SIZES, TEXTS, Body, perturbed, texts
from trivium.encoders.projections import TermProjection
from trivium.encoders.text import TextTransformer
from trivium.objectives.self_supervised.bert import BERT, TokenPredictor
from trivium.types import MASK, View, Views

SETTINGS = {"ratio": 0.3, "mask": 0.8, "random": 0.1}


def bert(**settings):
    encoder = TextTransformer(TEXTS, name="text_test", **SIZES)
    return perturbed(BERT(encoder, TEXTS, **SETTINGS | settings))


@torch.no_grad()
def twin_of(predictor, embedding, tokens):
    """transformers' BertForMaskedLM with our head on our tokens."""
    config = BertConfig(
        vocab_size=30,
        hidden_size=24,
        num_hidden_layers=1,
        num_attention_heads=3,
        hidden_act="gelu",
        layer_norm_eps=predictor.norm.eps,
    )
    twin = BertForMaskedLM(config).eval()
    head = twin.cls.predictions
    head.transform.dense.load_state_dict(predictor.dense.state_dict())
    head.transform.LayerNorm.load_state_dict(predictor.norm.state_dict())
    head.decoder.weight.copy_(embedding.weight)
    head.decoder.bias.copy_(predictor.bias)
    twin.bert = Body(tokens)
    return twin


@pytest.fixture
def objective():
    return bert()


def at_seed(function, *args):
    torch.manual_seed(5)
    return function(*args)


def mask_of(objective, view):
    """The mask of the step that starts at the same seed."""
    return at_seed(objective.masking, view.values, view.valid, 30)


def test_head_and_loss_equal_transformers(objective):
    view = texts()
    masked = mask_of(objective, view)
    tokens = objective.encoder(masked.ids, view.valid).tokens
    labels = view.values.masked_fill(~masked.chosen, -100)
    embedding = objective.stem.embedding
    theirs = twin_of(objective.predictor, embedding, tokens)(input_ids=masked.ids, labels=labels)
    ours = objective.predictor(tokens, embedding)
    torch.testing.assert_close(ours, theirs.logits, atol=1e-5, rtol=1e-5)
    terms = at_seed(objective, Views((view,)))
    torch.testing.assert_close(terms["loss"], theirs.loss, atol=1e-5, rtol=1e-5)
    right = theirs.logits.argmax(-1) == labels
    expected = right[masked.chosen].float().mean()
    torch.testing.assert_close(terms["accuracy"], expected)


def test_a_narrow_head_ends_in_the_width_of_the_embeddings():
    embedding = nn.Embedding(30, 24)
    predictor = TokenPredictor(16, embedding)
    assert predictor(torch.randn(2, 5, 16), embedding).shape == (2, 5, 30)
    assert [name for name, _ in predictor.named_parameters()] == [
        "bias", "dense.weight", "dense.bias", "norm.weight", "norm.bias",
    ]  # fmt: skip


def test_hidden_places_alone_carry_the_loss(objective):
    view = texts()
    masked = mask_of(objective, view)
    captured = []

    def watch(module, args, features):
        features.tokens.retain_grad()
        captured.append(features.tokens)

    objective.encoder.register_forward_hook(watch)
    at_seed(objective, Views((view,)))["loss"].backward()
    touched = captured[0].grad.abs().sum(-1) > 0
    assert torch.equal(touched, masked.chosen)


def test_the_loss_is_averaged_over_all_hidden_tokens_of_the_batch(objective):
    view = texts()
    masked = mask_of(objective, view)
    scores = objective.predictor(
        objective.encoder(masked.ids, view.valid).tokens, objective.stem.embedding
    )
    nats = [
        -scores[row, place].log_softmax(0)[view.values[row, place]]
        for row, place in masked.chosen.nonzero().tolist()
    ]
    loss = at_seed(objective, Views((view,)))["loss"]
    torch.testing.assert_close(loss, torch.stack(nats).mean())


def test_the_encoder_sees_the_masked_text_and_not_the_hidden_words(objective):
    view = texts()
    masked = mask_of(objective, view)
    seen = []
    objective.encoder.register_forward_pre_hook(lambda module, args: seen.append(args))
    at_seed(objective, Views((view,)))
    ids, valid = seen[0]
    assert torch.equal(ids, masked.ids)
    assert torch.equal(valid, view.valid)
    assert (ids != view.values).any()


def test_hidden_words_do_not_reach_their_own_prediction():
    objective = bert(mask=1.0, random=0.0)
    view = texts()
    masked = mask_of(objective, view)
    other = view.values.where(~masked.chosen, (view.values - 4 + 7) % 26 + 4)
    assert torch.equal(mask_of(objective, View(other, view.valid)).ids, masked.ids)


def test_shares_are_those_of_the_settings():
    objective = bert(ratio=0.15)
    view = texts([22] * 3000)
    masked = mask_of(objective, view)
    num = masked.chosen.sum().item()
    assert num == 3000 * 3  # 15 % of 20 words
    was, now = view.values[masked.chosen], masked.ids[masked.chosen]
    for flags, share in {
        now == MASK: 0.8,
        now == was: 0.1 + 0.1 / 26,
        (now != MASK) & (now != was): 0.1 * 25 / 26,
    }.items():
        error = 5 * math.sqrt(share * (1 - share) / num)
        assert flags.float().mean().item() == pytest.approx(share, abs=error)
    assert (now >= MASK).all()
    assert not (masked.chosen & (view.values < 4)).any()
    assert not (masked.chosen & ~view.valid).any()


def test_the_mask_is_new_in_each_step(objective):
    view = texts()
    seen = []
    objective.encoder.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    before = view.values.clone()
    for _ in range(2):
        objective(Views((view,)))
    assert not torch.equal(*seen)
    assert torch.equal(view.values, before)


def test_padding_does_not_count(objective):
    ids, valid = texts()
    noise = ids.where(valid, torch.randint(4, 30, ids.shape))
    first = at_seed(objective, Views((View(ids, valid),)))
    second = at_seed(objective, Views((View(noise, valid),)))
    for name, term in first.items():
        torch.testing.assert_close(second[name], term)


def test_the_embeddings_are_tied(objective):
    embedding = objective.stem.embedding.weight
    assert embedding is objective.encoder.stem.embedding.weight
    names = [name for name, parameter in objective.named_parameters() if len(parameter) == 30]
    assert sorted(names) == ["encoder.stem.embedding.weight", "predictor.bias"]
    scores = objective.predictor(torch.randn(5, 24), objective.stem.embedding)
    grad = torch.autograd.grad(scores[:, 29].sum(), embedding)[0]
    assert (grad.abs().sum(1) > 0).tolist() == [False] * 29 + [True]


def test_the_plateau_is_the_loss_of_a_uniform_guess():
    objective = BERT(TextTransformer(TEXTS, name="text_test", **SIZES), TEXTS, **SETTINGS)
    assert objective.plateau(64) == pytest.approx(math.log(30))
    loss = objective(Views((texts([24] * 64),)))["loss"].item()
    assert loss == pytest.approx(math.log(30), abs=0.1)


def test_pictures_hold_text_mask_and_filling(objective):
    view = texts()
    masked = mask_of(objective, view)
    pictures = at_seed(objective.pictures, Views((view,)))
    assert list(pictures) == ["text", "masked", "filled"]
    assert torch.equal(pictures["text"], view.values)
    assert torch.equal(pictures["masked"], masked.ids)
    assert torch.equal(pictures["filled"][~masked.chosen], view.values[~masked.chosen])
    tokens = objective.encoder(masked.ids, view.valid).tokens[masked.chosen]
    expected = F.linear(
        objective.predictor.norm(F.gelu(objective.predictor.dense(tokens))),
        objective.stem.embedding.weight,
        objective.predictor.bias,
    ).argmax(-1)
    assert torch.equal(pictures["filled"][masked.chosen], expected)


def test_encoders_without_embeddings_of_their_own_are_refused():
    with pytest.raises(ValueError, match="bert predicts by the encoder's own embeddings"):
        BERT(TermProjection(TEXTS, width=2), TEXTS, **SETTINGS)
