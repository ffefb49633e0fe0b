"""ELECTRA's heads and losses against transformers 5.23, and where gradients may pass."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

from masked_language import LENGTHS, SIZES, TEXTS, Body, perturbed, texts
from trivium.encoders.projections import TermProjection
from trivium.encoders.text import TextTransformer
from trivium.objectives.self_supervised.electra import ELECTRA
from trivium.transforms.masking import Masked
from trivium.types import MASK, View, Views

SETTINGS = {
    "ratio": 0.3,
    "weight": 50.0,
    "generator_width": 16,
    "generator_depth": 1,
    "generator_num_heads": 2,
}


def electra(positions="learned", **settings):
    encoder = TextTransformer(TEXTS, name="text_test", **SIZES, positions=positions)
    return perturbed(ELECTRA(encoder, TEXTS, **SETTINGS | settings))


def at_seed(function, *args):
    torch.manual_seed(5)
    return function(*args)


def config_of(objective, hidden):
    return ElectraConfig(
        vocab_size=30,
        embedding_size=24,
        hidden_size=hidden,
        num_hidden_layers=1,
        num_attention_heads=2,
        hidden_act="gelu",
        layer_norm_eps=objective.predictor.norm.eps,
    )


@torch.no_grad()
def discriminator_of(objective, tokens):
    """transformers' ElectraForPreTraining with our head on our tokens."""
    twin = ElectraForPreTraining(config_of(objective, 24)).eval()
    head = twin.discriminator_predictions
    head.dense.load_state_dict(objective.detector[0].state_dict())
    head.dense_prediction.load_state_dict(objective.detector[2].state_dict())
    twin.electra = Body(tokens)
    return twin


@torch.no_grad()
def generator_of(objective, tokens):
    """transformers' ElectraForMaskedLM with our head on our tokens."""
    twin = ElectraForMaskedLM(config_of(objective, 16)).eval()
    twin.generator_predictions.dense.load_state_dict(objective.predictor.dense.state_dict())
    twin.generator_predictions.LayerNorm.load_state_dict(objective.predictor.norm.state_dict())
    twin.generator_lm_head.weight.copy_(objective.stem.embedding.weight)
    twin.generator_lm_head.bias.copy_(objective.predictor.bias)
    twin.electra = Body(tokens)
    return twin


def generated(objective, ids, valid):
    """The generator's tokens, put together by hand."""
    entered = objective.enter(objective.encoder.embed(ids, valid).values)
    return objective.generator(entered, valid)


@pytest.fixture
def objective():
    return electra()


def test_discriminator_equals_transformers(objective):
    view = texts()
    corrupted = at_seed(objective.corrupt, view)
    terms = at_seed(objective, Views((view,)))
    tokens = objective.encoder(corrupted.ids, view.valid).tokens
    theirs = discriminator_of(objective, tokens)(
        input_ids=corrupted.ids,
        attention_mask=view.valid.long(),
        labels=corrupted.replaced.long(),
    )
    expected = {"atol": 1e-5, "rtol": 1e-5}
    ours = objective.detector(tokens).squeeze(-1)
    torch.testing.assert_close(ours, theirs.logits, **expected)
    torch.testing.assert_close(terms["discriminator_loss"], theirs.loss.detach(), **expected)
    right = ((theirs.logits > 0) == corrupted.replaced)[view.valid]
    torch.testing.assert_close(terms["accuracy"], right.float().mean())


def test_generator_equals_transformers(objective):
    view = texts()
    masked = at_seed(objective.masking, view.values, view.valid, 30)
    tokens = generated(objective, masked.ids, view.valid)
    labels = view.values.masked_fill(~masked.chosen, -100)
    theirs = generator_of(objective, tokens)(input_ids=masked.ids, labels=labels)
    ours = objective.predictor(tokens, objective.stem.embedding)
    torch.testing.assert_close(ours, theirs.logits, atol=1e-5, rtol=1e-5)
    loss = at_seed(objective, Views((view,)))["generator_loss"]
    torch.testing.assert_close(loss, theirs.loss.detach(), atol=1e-5, rtol=1e-5)


def test_the_loss_is_a_weighted_sum(objective):
    for weight in (0.0, 1.0, 50.0):
        objective.weight = weight
        terms = at_seed(objective, Views((texts(),)))
        expected = terms["generator_loss"] + weight * terms["discriminator_loss"]
        torch.testing.assert_close(terms["loss"].detach(), expected)
        assert [name for name, term in terms.items() if term.requires_grad] == ["loss"]


def test_the_discriminator_is_asked_about_every_valid_token_and_no_padding(objective):
    view, scores = texts(), []

    def watch(module, args, output):
        output.retain_grad()
        scores.append(output)

    objective.detector.register_forward_hook(watch)
    objective(Views((view,)))["loss"].backward()
    touched = scores[0].grad.squeeze(-1) != 0
    assert torch.equal(touched, view.valid)


def test_everything_hidden_is_a_mask_and_only_hidden_tokens_are_replaced(objective):
    view = texts()
    masked = at_seed(objective.masking, view.values, view.valid, 30)
    corrupted = at_seed(objective.corrupt, view)
    assert (masked.ids[masked.chosen] == MASK).all()
    assert torch.equal(corrupted.ids[~masked.chosen], view.values[~masked.chosen])
    assert not corrupted.replaced[~masked.chosen].any()
    assert torch.equal(corrupted.replaced, corrupted.ids != view.values)
    assert corrupted.replaced.any()


def test_a_sample_that_equals_the_original_counts_as_original():
    objective = electra(ratio=1.0)
    nn.init.zeros_(objective.stem.embedding.weight)
    objective.predictor.bias.data.fill_(-50.0)[9] = 50.0  # the generator knows one word
    view = View(torch.full((4, 24), 9))
    corrupted = objective.corrupt(view)
    assert not corrupted.replaced.any()
    assert torch.equal(corrupted.ids, view.values)
    assert objective(Views((view,)))["replaced"] == 0
    other = View(torch.full((4, 24), 8))
    assert objective.corrupt(other).replaced.all()
    assert objective(Views((other,)))["replaced"] == 1


def test_samples_follow_the_generator_and_go_where_they_belong():
    objective = electra(ratio=0.25)
    view = texts([24])
    masked = at_seed(objective.masking, view.values, view.valid, 30)
    tokens = generated(objective, masked.ids, view.valid)
    shares = objective.predictor(tokens, objective.stem.embedding)[0].softmax(-1).detach()
    num, places = 3000, masked.chosen[0].nonzero().flatten()
    many = Masked(masked.ids.expand(num, -1), masked.chosen.expand(num, -1))
    objective.masking.forward = lambda *args: many
    drawn = objective.corrupt(View(view.values.expand(num, -1))).ids
    for place in places.tolist():
        frequency = drawn[:, place].bincount(minlength=30) / num
        share = shares[place]
        assert ((frequency - share).abs() <= 5 * (share * (1 - share) / num).sqrt() + 1e-3).all()


def test_the_generator_learns_nothing_from_the_discriminator(objective):
    own = [
        *objective.enter.parameters(),
        *objective.generator.parameters(),
        *objective.predictor.parameters(),
    ]
    view = texts()

    def gradients(weight):
        objective.weight = weight
        objective.zero_grad()
        at_seed(objective, Views((view,)))["loss"].backward()
        return [parameter.grad.clone() for parameter in own]

    for without, with_ in zip(gradients(0.0), gradients(50.0), strict=True):
        assert without.any()
        assert torch.equal(without, with_)


def test_the_encoder_s_trunk_learns_nothing_from_the_generator(objective):
    view = texts()
    corrupted = at_seed(objective.corrupt, view)
    corrupted.loss.backward()
    assert objective.stem.embedding.weight.grad.any()
    assert objective.stem.positions.grad.any()
    others = [*objective.encoder.trunk.parameters(), *objective.detector.parameters()]
    assert all(parameter.grad is None for parameter in others)


def test_generator_and_encoder_share_the_embeddings_and_nothing_else(objective):
    names = [name for name, parameter in objective.named_parameters() if parameter.shape[0] == 30]
    assert sorted(names) == ["encoder.stem.embedding.weight", "predictor.bias"]
    trunk = {id(parameter) for parameter in objective.encoder.trunk.parameters()}
    assert trunk.isdisjoint(id(parameter) for parameter in objective.generator.parameters())
    assert objective.stem.embedding is objective.encoder.stem.embedding
    before = at_seed(objective, Views((texts(),)))["generator_loss"]
    with torch.no_grad():
        objective.encoder.stem.embedding.weight.mul_(2)
    assert at_seed(objective, Views((texts(),)))["generator_loss"] != before


@pytest.mark.parametrize("positions", ["learned", "sincos", "rotary"])
def test_the_generator_knows_the_order_of_the_words(positions):
    objective = electra(positions)
    if positions == "sincos":
        objective.stem.positions.mul_(50)  # they start as small as the embeddings do
    ids = texts([24]).values
    order = torch.cat([torch.tensor([0]), torch.randperm(22) + 1, torch.tensor([23])])
    masking = objective.masking.forward
    chosen = torch.zeros(1, 24, dtype=torch.bool)
    chosen[0, 0] = True

    def first_place(ids, valid, vocabulary):
        return masking(ids, valid, vocabulary)._replace(
            ids=ids.masked_fill(chosen, MASK), chosen=chosen
        )

    objective.masking.forward = first_place
    losses = [objective.corrupt(View(row)).loss for row in (ids, ids[:, order])]
    assert abs(losses[0] - losses[1]).item() > 1e-4


def test_padding_does_not_count(objective):
    ids, valid = texts()
    noise = ids.where(valid, torch.randint(4, 30, ids.shape))
    first = at_seed(objective, Views((View(ids, valid),)))
    second = at_seed(objective, Views((View(noise, valid),)))
    for name, term in first.items():
        torch.testing.assert_close(second[name], term)
    wrong = objective.corrupt(View(noise, valid))
    assert not wrong.replaced[~valid].any()


def test_terms_are_shares_of_the_valid_tokens(objective):
    view = texts()
    corrupted = at_seed(objective.corrupt, view)
    terms = at_seed(objective, Views((view,)))
    torch.testing.assert_close(terms["replaced"], corrupted.replaced.sum() / LENGTHS.sum())
    scores = objective.detector(objective.encoder(corrupted.ids, view.valid).tokens).squeeze(-1)
    each = [
        F.softplus(-score if flag else score)
        for score, flag in zip(scores[view.valid], corrupted.replaced[view.valid], strict=True)
    ]
    torch.testing.assert_close(terms["discriminator_loss"], torch.stack(each).mean().detach())


def test_all_valid_is_the_same_as_no_word_on_it(objective):
    ids, valid = texts([24] * 4)
    first = at_seed(objective, Views((View(ids, valid),)))
    second = at_seed(objective, Views((View(ids),)))
    for name, term in first.items():
        torch.testing.assert_close(second[name], term)


def test_pictures_hold_text_and_corruption(objective):
    view = texts()
    pictures = at_seed(objective.pictures, Views((view,)))
    assert list(pictures) == ["text", "corrupted"]
    assert torch.equal(pictures["text"], view.values)
    assert torch.equal(pictures["corrupted"], at_seed(objective.corrupt, view).ids)


def test_encoders_without_embeddings_of_their_own_are_refused():
    with pytest.raises(ValueError, match="electra predicts by the encoder's own embeddings"):
        ELECTRA(TermProjection(TEXTS, width=2), TEXTS, **SETTINGS)
