"""BEST-RQ: Eq. 1 of 2202.01855 code by code, and that its quantiser never moves."""

import math

import pytest
import torch
from torch.nn import functional as F

from clips import CLIPS, alone, mels, spectrogram, wave, waves
from trivium.data.spectrogram import SILENCE
from trivium.objectives.codebook import perplexity
from trivium.objectives.self_supervised.best_rq import BestRQ, RandomQuantiser
from trivium.types import View, Views

SETTINGS = {
    "num_codes": 20,
    "code_width": 6,
    "ratio": 0.5,
    "block": (2, 5),
    "aspect_ratio": (0.3, 3.3),
}
LENGTHS = [24, 24, 17, 9]


def build(encoder=None, **changed):
    return BestRQ(encoder or spectrogram(), CLIPS, **SETTINGS | changed)


def at_seed(function, *args):
    torch.manual_seed(5)
    return function(*args)


def draw(objective, view):
    """The mask of the step that starts at the same seed."""
    tokens = objective.encoder.embed(view.values, view.valid)
    return tokens, at_seed(objective.masking.draw, tokens, objective.encoder.stem)


def nearest(quantiser, values):
    """Eq. 1, code by code, in float64."""
    found = []
    for value in values.double():
        projected = F.normalize(quantiser.projection.double() @ value, dim=0)
        codes = F.normalize(quantiser.codes.double(), dim=1)
        distances = [(code - projected).norm() for code in codes]
        found.append(int(torch.stack(distances).argmin()))
    return torch.tensor(found)


def test_codes_are_those_of_equation_1():
    quantiser, values = RandomQuantiser(12, num_codes=20, code_width=6), torch.randn(100, 12)
    assert torch.equal(quantiser(values), nearest(quantiser, values))
    assert torch.equal(quantiser(values.view(4, 25, 12)), quantiser(values).view(4, 25))
    assert torch.equal(quantiser(7 * values), quantiser(values))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(quantiser(values), nearest(quantiser, values))


def test_projection_is_xaviers_and_codes_are_normal_directions():
    quantiser = RandomQuantiser(64, num_codes=3000, code_width=16)
    bound = math.sqrt(6 / (64 + 16))
    assert quantiser.projection.abs().max() <= bound
    assert quantiser.projection.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    torch.testing.assert_close(quantiser.codes.norm(dim=1), torch.ones(3000))
    assert quantiser.codes.mean(0).abs().max() < 0.03
    covariance = quantiser.codes.T @ quantiser.codes / 3000
    torch.testing.assert_close(covariance, torch.eye(16) / 16, atol=0.01, rtol=0)


def test_loss_is_the_cross_entropy_of_codes_at_masked_tokens():
    objective, view = build(), mels(LENGTHS)
    tokens, mask = draw(objective, view)
    stem, encoder = objective.encoder.stem, objective.encoder
    features = encoder.contextualise(objective.masking(tokens, mask, stem))
    patches = stem.patchify(stem.standardise(view.values))
    losses, hits, codes = [], [], []
    for row, place in mask.mask.nonzero().tolist():
        value = patches[row, place]
        value = (value - value.mean()) / value.std()
        codes.append(nearest(objective.quantiser, value[None])[0])
        scores = objective.predictor(features.tokens[row, place])
        losses.append(-scores.log_softmax(0)[codes[-1]])
        hits.append(float(scores.argmax() == codes[-1]))
    terms = at_seed(objective, Views((view,)))
    torch.testing.assert_close(terms["loss"], torch.stack(losses).mean())
    assert terms["accuracy"].item() == pytest.approx(sum(hits) / len(hits))
    shares = torch.stack(codes).bincount() / len(codes)
    expected = math.exp(-sum(p * math.log(p) for p in shares.tolist() if p))
    assert terms["perplexity"].item() == pytest.approx(expected, rel=1e-5)


def test_the_quantiser_is_kept_but_never_moves():
    objective, view = build(), mels(LENGTHS)
    names = {name for name, _ in objective.named_parameters()}
    assert not any(name.startswith("quantiser") for name in names)
    before = {name: each.clone() for name, each in objective.quantiser.state_dict().items()}
    assert set(before) == {"projection", "codes"}
    optimizer = torch.optim.AdamW(objective.parameters(), lr=0.1, weight_decay=0.1)
    for step in range(3):
        optimizer.zero_grad()
        objective(Views((view,)))["loss"].backward()
        optimizer.step()
        objective.after_step(step / 3)
    for name, value in before.items():
        assert torch.equal(objective.quantiser.state_dict()[name], value)
        assert getattr(objective.quantiser, name).grad is None
    torch.manual_seed(9)
    other = build()
    values = torch.randn(200, 32)
    assert not torch.equal(other.quantiser(values), objective.quantiser(values))
    other.load_state_dict(objective.state_dict())
    assert torch.equal(other.quantiser(values), objective.quantiser(values))


def test_the_values_are_normalised_so_that_loudness_does_not_matter():
    objective, view = build(), mels([24, 24])
    stem, seen = objective.encoder.stem, []
    objective.quantiser.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    for values in (view.values, 0.5 * view.values - 3):
        at_seed(objective, Views((View(values),)))
    for values in seen:
        torch.testing.assert_close(values.mean(1), torch.zeros(len(values)), atol=1e-4, rtol=0)
        torch.testing.assert_close(values.std(1), torch.ones(len(values)), atol=1e-3, rtol=0)
    torch.testing.assert_close(seen[0], seen[1], atol=1e-2, rtol=1e-2)
    assert seen[0].shape == (12, stem.target_width)


def test_normalised_values_use_many_codes_and_raw_ones_few():
    """Section 3.1: without the normalisation few codes are used."""
    quantiser = RandomQuantiser(32, num_codes=64, code_width=16)
    stem, view = spectrogram().stem, mels([24] * 40)
    patches = stem.patchify(view.values).flatten(0, 1)

    def used(values):
        return perplexity(quantiser(values).bincount(minlength=64).float()).item()

    normalised = used(stem.target(view.values, normalise=True).flatten(0, 1))
    assert normalised > 10 > 3 * used(patches - 20)


def test_silence_has_one_code():
    objective = build()
    values = torch.full((3, 1, 24, 16), SILENCE)
    terms = objective(Views((View(values),)))
    assert terms["loss"].isfinite()
    assert terms["perplexity"] == 1


@pytest.mark.parametrize("kind", ["mel", "wave"])
def test_codes_of_a_clip_alone_are_those_in_a_padded_batch(kind):
    encoder, view = (
        (spectrogram(patch=(5, 16)), mels(LENGTHS))
        if kind == "mel"
        else (wave(), waves([1280, 700, 321]))
    )
    objective = build(encoder)
    stem = encoder.stem
    codes = objective.quantiser(stem.target(view.values, normalise=True))
    valid = stem.valid_tokens(view.valid)
    for number, own in enumerate(valid):
        one = objective.quantiser(stem.target(alone(view, number).values, normalise=True))
        assert torch.equal(codes[number][own], one[0])


def test_masked_tokens_are_learnt(data, encoder, one_view):
    for objective, views in (
        (build(num_codes=8), Views((mels([24, 24]),))),
        (BestRQ(encoder, data, **SETTINGS | {"num_codes": 8}), one_view),
    ):
        optimizer = torch.optim.Adam(objective.parameters(), lr=1e-2)
        for _ in range(60):
            optimizer.zero_grad()
            terms = at_seed(objective, views)
            terms["loss"].backward()
            optimizer.step()
        assert terms["loss"] < 0.6 < math.log(8) == objective.plateau(2)
        assert terms["accuracy"] > 0.8


def test_pictures_show_what_is_masked():
    objective, view = build(), mels(LENGTHS)
    _, mask = draw(objective, view)
    rows = at_seed(objective.pictures, Views((view,)))
    torch.testing.assert_close(rows["input"], view.values)
    silent = rows["masked"].view(4, 12, 32).eq(SILENCE).all(2)
    assert (silent | ~mask.mask).all()
