"""wav2vec 2.0 against transformers 5.23 (`Wav2Vec2ForPreTraining`, whose sums are means here).

Without Gumbel noise where losses are compared, as both draw it for other numbers of steps.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import nn
from torch.nn import functional as F

from clips import CLIPS, LONGER, mels, perturbed, spectrogram, wave, waves
from trivium.objectives.self_supervised.wav2vec2 import (
    GumbelQuantiser,
    Steps,
    Wav2Vec2,
    contrast,
    draw_negatives,
    masked_steps,
)
from trivium.types import View, Views

SETTINGS = {
    "ratio": 0.5,
    "block": (2, 5),
    "aspect_ratio": (0.3, 3.3),
    "num_groups": 2,
    "num_codes": 5,
    "code_width": 12,
    "projection_width": 10,
    "num_negatives": 7,
    "temperature": 0.1,
    "temperature_start": 2.0,
    "temperature_end": 0.5,
    "diversity": 0.3,
    "penalty": 0.0,
    "gradient_scale": 1.0,
}
CLOSE = {"atol": 1e-5, "rtol": 1e-4}
KINDS = {
    "spectrogram": (spectrogram, CLIPS, lambda: mels([24, 24, 17, 9])),
    "wave": (wave, LONGER, lambda: waves([3840, 3001, 2000, 1000])),
}

kinds = pytest.mark.parametrize("kind", KINDS)


def build(kind="spectrogram", **changed):
    make, data, _ = KINDS[kind]
    objective = Wav2Vec2(make(), data, **SETTINGS | changed)
    with torch.no_grad():
        objective.quantiser.score.weight.mul_(0.3)  # choices that are less than certain
    return objective


def view_of(kind="spectrogram"):
    return KINDS[kind][2]()


def without_noise(logits, tau=1.0, hard=False, **rest):
    """The straight-through softmax: gumbel_softmax with noise of 0."""
    soft = (logits / tau).softmax(-1)
    chosen = F.one_hot(soft.argmax(-1), logits.shape[-1]).to(soft)
    return chosen - soft.detach() + soft


def at_seed(function, *args):
    torch.manual_seed(5)
    return function(*args)


def config_of(objective, width=32):
    from transformers import Wav2Vec2Config

    quantiser = objective.quantiser
    return Wav2Vec2Config(
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        conv_dim=[width] * 7,
        num_codevector_groups=quantiser.num_groups,
        num_codevectors_per_group=quantiser.num_codes,
        codevector_dim=objective.project_codes.in_features,
        proj_codevector_dim=objective.project_codes.out_features,
        contrastive_logits_temperature=objective.kappa,
        diversity_loss_weight=objective.diversity,
        feat_quantizer_dropout=0.0,
    )


def tie(quantiser, theirs):
    """Their quantiser with our parameters themselves, so that gradients meet there."""
    theirs.weight_proj.weight, theirs.weight_proj.bias = (
        quantiser.score.weight,
        quantiser.score.bias,
    )
    del theirs.codevectors
    theirs.codevectors = quantiser.codes.flatten(0, 1)[None]


class Body(nn.Module):
    """Stands in for the encoder: the quantiser, the heads and the losses stay theirs."""

    def __init__(self, context, features):
        super().__init__()
        self.outputs = context, features

    def forward(self, *args, **rest):
        from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2BaseModelOutput

        context, features = self.outputs
        return Wav2Vec2BaseModelOutput(last_hidden_state=context, extract_features=features)


def theirs_of(objective, view):
    """What transformers makes of our encoder's tokens with the masks and negatives of the seed."""
    from transformers import Wav2Vec2ForPreTraining

    torch.manual_seed(5)
    stem = objective.encoder.stem
    tokens, content = objective.embed(view)
    mask = objective.masking.draw(tokens, stem)
    context = objective.encoder.contextualise(objective.masking(tokens, mask, stem)).tokens
    steps = masked_steps(mask.mask)
    negatives = draw_negatives(steps, objective.num_negatives)
    places = steps.indices.unsqueeze(2).expand_as(negatives).gather(1, negatives)
    sampled = torch.zeros(*mask.mask.shape, objective.num_negatives, dtype=torch.long)
    for row, real in enumerate(steps.real):
        sampled[row, steps.indices[row][real]] = places[row][real]
        sampled[row] += row * mask.mask.shape[1]
    twin = Wav2Vec2ForPreTraining(config_of(objective)).train(objective.training)
    tie(objective.quantiser, twin.quantizer)
    twin.project_hid, twin.project_q = objective.project_context, objective.project_codes
    twin.set_gumbel_temperature(float(objective.temperature))
    twin.wav2vec2 = Body(context, objective.norm(content))
    found = twin(None, mask_time_indices=mask.mask, sampled_negative_indices=sampled)
    return found, int(mask.mask.sum())


@kinds
def test_losses_and_gradients_equal_transformers(kind, monkeypatch):
    monkeypatch.setattr(nn.functional, "gumbel_softmax", without_noise)
    objective, view = build(kind), view_of(kind)
    terms = at_seed(objective, Views((view,)))
    theirs, number = theirs_of(objective, view)
    torch.testing.assert_close(terms["loss"], theirs.loss / number, **CLOSE)
    torch.testing.assert_close(terms["contrastive"], theirs.contrastive_loss.detach() / number)
    torch.testing.assert_close(terms["diversity"], theirs.diversity_loss.detach() / number)
    torch.testing.assert_close(terms["perplexity"], theirs.codevector_perplexity.detach())
    parameters = dict(objective.named_parameters())
    ours = torch.autograd.grad(terms["loss"], list(parameters.values()))
    others = torch.autograd.grad(theirs.loss / number, list(parameters.values()))
    for name, mine, other in zip(parameters, ours, others, strict=True):
        torch.testing.assert_close(mine, other, **CLOSE, msg=lambda text, name=name: name + text)
        assert mine.abs().max() > 0, name


def test_in_eval_the_contrastive_loss_equals_transformers():
    objective, view = build().eval(), view_of()
    terms = at_seed(objective, Views((view,)))
    theirs, number = theirs_of(objective, view)
    torch.testing.assert_close(terms["contrastive"], theirs.contrastive_loss.detach() / number)
    # Their perplexity is that of the chosen codes then.
    torch.testing.assert_close(terms["code_perplexity"], theirs.codevector_perplexity.detach())


@pytest.mark.parametrize("training", [True, False])
def test_the_quantiser_equals_transformers_at_the_same_seed(training):
    from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2GumbelVectorQuantizer

    objective = build().train(training)
    quantiser, items = objective.quantiser, torch.randn(30, 32)
    theirs = Wav2Vec2GumbelVectorQuantizer(config_of(objective)).train(training)
    tie(quantiser, theirs)
    theirs.temperature = 0.7
    values, perplexity = at_seed(theirs, items.view(5, 6, 32))
    ours = at_seed(quantiser, items, torch.tensor(0.7))
    torch.testing.assert_close(ours.values, values.flatten(0, 1))
    if training:
        torch.testing.assert_close(ours.perplexity, perplexity)
        assert (ours.ids != quantiser.eval()(items, torch.tensor(0.7)).ids).any()
    chosen = torch.cat([quantiser.codes[group, ours.ids[:, group]] for group in (0, 1)], dim=1)
    torch.testing.assert_close(ours.values, chosen)


def test_the_quantiser_starts_as_transformers():
    from transformers import Wav2Vec2ForPreTraining

    objective = Wav2Vec2(spectrogram(), CLIPS, **SETTINGS | {"num_codes": 50})
    quantiser = objective.quantiser
    twin = Wav2Vec2ForPreTraining(config_of(objective)).quantizer
    for ours, theirs in (
        (quantiser.score.weight, twin.weight_proj.weight),
        (quantiser.codes, twin.codevectors),
    ):
        assert ours.mean().item() == pytest.approx(theirs.mean().item(), abs=0.1)
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.1)
    assert quantiser.score.bias.eq(0).all()


def test_perplexity_is_that_of_the_mean_softmax_added_over_groups():
    quantiser, items = build().quantiser, torch.randn(9, 32)
    shares = quantiser.score(items).view(9, 2, 5).softmax(-1).mean(0)
    expected = sum(math.exp(-sum(p * math.log(p) for p in row)) for row in shares.tolist())
    found = quantiser(items, torch.tensor(1.0)).perplexity
    assert found.item() == pytest.approx(expected, rel=1e-5)
    assert 2 <= found <= 10


def steps_of(numbers, length=12):
    masks = torch.zeros(len(numbers), length, dtype=torch.bool)
    for row, number in enumerate(numbers):
        masks[row, torch.randperm(length)[:number]] = True
    return masks, masked_steps(masks)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=5).filter(max))
@settings(max_examples=50)
def test_masked_steps_are_the_places_in_order(numbers):
    masks, steps = steps_of(numbers)
    assert steps.real.sum(1).tolist() == numbers
    assert steps.real.shape[1] == max(numbers)
    for row, number in enumerate(numbers):
        expected = masks[row].nonzero().flatten()
        assert torch.equal(steps.indices[row, :number], expected)
        assert torch.equal(steps.indices[row][steps.real[row]], expected)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(1, 9))
@settings(max_examples=50)
def test_negatives_are_other_masked_steps_of_the_same_clip(numbers, num_negatives):
    _, steps = steps_of(numbers)
    negatives = draw_negatives(steps, num_negatives)
    assert negatives.shape == (*steps.real.shape, num_negatives)
    for row, number in enumerate(numbers):
        for step in range(number):
            drawn = set(negatives[row, step].tolist())
            assert drawn <= set(range(number)) - ({step} if number > 1 else set())


def test_negatives_are_uniform():
    _, steps = steps_of([6, 4, 3])
    negatives = draw_negatives(steps, 6000)
    for row, number in enumerate([6, 4, 3]):
        for step in range(number):
            counts = negatives[row, step].bincount(minlength=6)
            others = [other for other in range(number) if other != step]
            assert counts.sum() == counts[others].sum()
            assert chisquare(counts[others]).pvalue > 1e-4


def by_hand(context, codes, ids, real, negatives, temperature):
    """Eq. 3, one step after another; and how often the first is the largest."""
    losses, first = [], []
    for row, step in real.nonzero().tolist():
        drawn = negatives[row, step].tolist()
        others = [n for n in drawn if not torch.equal(ids[row, n], ids[row, step])]
        compared = codes[row, [step, *others]]
        scores = F.cosine_similarity(context[row, step], compared, dim=1) / temperature
        losses.append(scores.logsumexp(0) - scores[0])
        first.append(float(scores.argmax() == 0))
    return torch.stack(losses).mean(), sum(first) / len(first)


def test_negatives_with_the_codes_of_the_positive_do_not_count():
    _, steps = steps_of([8, 5, 1])
    book = torch.randn(4, 10)
    number = torch.randint(4, (3, 8))
    ids, codes = torch.stack([number // 2, number % 2], dim=2), book[number]
    context, negatives = torch.randn(3, 8, 10, requires_grad=True), draw_negatives(steps, 9)
    loss, accuracy = contrast(context, codes, ids, steps, negatives, 0.1)
    expected, hits = by_hand(context, codes, ids, steps.real, negatives, 0.1)
    torch.testing.assert_close(loss, expected)
    assert accuracy.item() == pytest.approx(hits)
    (gradient,) = torch.autograd.grad(loss, context)
    assert gradient.isfinite().all()
    assert gradient[~steps.real].eq(0).all()
    one_code = torch.zeros_like(ids)
    loss, accuracy = contrast(context, book[0].expand(3, 8, 10), one_code, steps, negatives, 0.1)
    assert loss == 0
    assert torch.autograd.grad(loss, context)[0].eq(0).all()


def test_the_terms_count_codes():
    objective, view = build(), view_of()
    terms = at_seed(objective, Views((view,)))
    assert 2 <= terms["perplexity"] <= 10
    torch.testing.assert_close(terms["diversity"], 1 - terms["perplexity"] / 10)
    ids = torch.tensor([[0, 1], [0, 2], [3, 1], [0, 4]])
    first = 4 / (3**0.75)  # 3/4 and 1/4
    second = 2 * 2**0.5  # 1/2, 1/4 and 1/4
    found = objective.code_perplexity(ids)
    assert found.item() == pytest.approx(first + second, rel=1e-5)


def test_the_penalty_is_the_mean_square_of_the_content_of_valid_tokens():
    view = view_of()
    losses = [at_seed(build_same(penalty), Views((view,)))["loss"] for penalty in (0.0, 10.0)]
    objective = build_same(0.0)
    values, valid, _ = objective.encoder.embed(view.values, view.valid)
    content = (values - objective.encoder.stem.positions[: values.shape[1]])[valid]
    torch.testing.assert_close(losses[1] - losses[0], 10 * content.square().mean(), **CLOSE)


def build_same(penalty):
    torch.manual_seed(1)
    return build(penalty=penalty)


def test_the_gradient_of_the_stem_alone_is_scaled(monkeypatch):
    monkeypatch.setattr(nn.functional, "gumbel_softmax", without_noise)

    def gradients(scale):
        torch.manual_seed(1)
        objective = perturbed(build("wave", gradient_scale=scale))
        at_seed(objective, Views((view_of("wave"),)))["loss"].backward()
        return {name: each.grad for name, each in objective.named_parameters()}

    whole, scaled = gradients(1.0), gradients(0.1)
    for name, gradient in whole.items():
        factor = 0.1 if name.startswith("encoder.stem") else 1.0
        torch.testing.assert_close(scaled[name], factor * gradient, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("positions", ["sincos", "learned"])
def test_targets_know_nothing_of_places(positions):
    encoder = spectrogram(positions=positions)
    objective = Wav2Vec2(encoder, CLIPS, **SETTINGS)
    view = mels([24])
    _, content = objective.embed(View(view.values))
    torch.testing.assert_close(content, encoder.stem.projection(encoder.stem.target(view.values)))
    content.sum().backward()
    if positions == "learned":
        assert encoder.stem.positions.grad.abs().max() < 1e-6


@kinds
def test_padding_changes_nothing(kind, monkeypatch):
    """Of clips in a batch with a longer one and without it; the masks and negatives are given."""
    objective, view = build(kind, penalty=1.0).eval(), view_of(kind)
    tokens = objective.encoder.embed(view.values[2:], view.valid[2:])
    length = int(tokens.valid.sum(1).max())
    mask = objective.masking.draw(tokens, objective.encoder.stem)
    samples = int(view.valid[2:].sum(1).max())
    dim = 1 if view.values.ndim == 2 else 2
    short = View(view.values[2:].narrow(dim, 0, samples), view.valid[2:, :samples])
    assert objective.encoder.embed(*short).values.shape[1] == length < tokens.values.shape[1]
    found = []
    for each, width in (
        (View(view.values[2:], view.valid[2:]), len(mask.mask[0])),
        (short, length),
    ):
        own = mask._replace(mask=mask.mask[:, :width])
        monkeypatch.setattr(objective.masking, "draw", lambda *_, own=own: own)
        found.append(at_seed(objective, Views((each,))))
    for name, term in found[0].items():
        torch.testing.assert_close(found[1][name], term, **CLOSE)


def test_the_temperature_falls_geometrically():
    objective = build()
    seen = [objective.temperature.item()]
    for progress in (0.25, 0.5, 1.0):
        objective.after_step(progress)
        seen.append(objective.temperature.item())
    assert seen == pytest.approx([2.0, 2.0**0.5, 1.0, 0.5])
    other = build()
    other.load_state_dict(objective.state_dict())
    assert other.temperature == 0.5


def test_the_temperature_reaches_the_quantiser(monkeypatch):
    objective, seen = build(), []

    def watch(logits, tau=1.0, hard=False, **rest):
        seen.append((float(tau), hard))
        return without_noise(logits, tau)

    monkeypatch.setattr(nn.functional, "gumbel_softmax", watch)
    objective.after_step(0.5)
    objective(Views((view_of(),)))
    assert seen == [(pytest.approx(1.0), True)]


def test_pictures_show_what_is_masked():
    rows = build().pictures(Views((view_of(),)))
    assert list(rows) == ["input", "masked"]
    assert rows["input"].shape == rows["masked"].shape == (4, 1, 24, 16)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature_end": 0.0}, "positive temperatures"),
        ({"temperature": -0.1}, "positive temperatures"),
        ({"num_negatives": 0}, "at least one negative"),
        ({"code_width": 13}, "code_width 13 does not split into num_groups 2"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        build(**wrong)


def test_a_step_of_one_clip_with_one_masked_step_is_finite():
    steps = Steps(torch.zeros(1, 1).long(), torch.ones(1, 1).bool())
    negatives = draw_negatives(steps, 3)
    assert negatives.eq(0).all()
    quantiser = GumbelQuantiser(8, num_groups=1, num_codes=3, code_width=4)
    codes = quantiser(torch.randn(1, 8), torch.tensor(1.0))
    context = torch.randn(1, 1, 4)
    loss, accuracy = contrast(context, codes.values[None], codes.ids[None], steps, negatives, 0.1)
    assert (loss, accuracy) == (0, 1)
