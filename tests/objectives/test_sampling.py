"""Nucleus sampling against a naive implementation and the softmax that it truncates."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.objectives.self_supervised.gpt import nucleus

logits = st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=12)


def naive(row, temperature, top_p):
    """The shares of a truncated softmax in float64: the most likely ids until they hold top_p."""
    scaled = np.array(row, np.float64) / temperature
    shares = np.exp(scaled - scaled.max())
    shares /= shares.sum()
    kept, held = np.zeros_like(shares), 0.0
    for place in np.argsort(-shares, kind="stable"):
        if held >= top_p:
            break
        kept[place] = shares[place]
        held += shares[place]
    return kept / kept.sum()


def draw(row, num, **settings):
    return nucleus(torch.tensor(row).expand(num, -1), **settings)


@settings(max_examples=150)
@given(
    logits,
    st.floats(0.1, 3.0),
    st.floats(0.01, 1.0),
    st.integers(0, 2**31),
)
def test_only_ids_of_the_naive_nucleus_are_drawn(row, temperature, top_p, seed):
    torch.manual_seed(seed)
    drawn = draw(row, 300, temperature=temperature, top_p=top_p)
    assert drawn.shape == (300,)
    # At the edge of the nucleus float32 may decide otherwise: a hair more is allowed.
    expected = naive(row, temperature, min(top_p + 1e-5, 1.0))
    ties = np.isclose(row, np.min(np.array(row)[expected > 0]), rtol=0, atol=1e-5)
    allowed = set(np.flatnonzero((expected > 0) | ties))
    assert set(drawn.tolist()) <= allowed


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("top_p", [0.3, 0.75, 0.9, 1.0])
def test_frequencies_are_those_of_the_truncated_softmax(temperature, top_p):
    row, num = [0.3, -1.0, 1.7, 0.9, -0.2, 1.1], 20_000
    drawn = draw(row, num, temperature=temperature, top_p=top_p)
    expected = naive(row, temperature, top_p)
    frequency = drawn.bincount(minlength=6).numpy() / num
    assert (frequency[expected == 0] == 0).all()
    error = 5 * np.sqrt(expected * (1 - expected) / num)
    assert (np.abs(frequency - expected) <= error).all()


def test_the_id_that_crosses_the_share_is_kept():
    row = [math.log(share) for share in (0.1, 0.5, 0.15, 0.25)]
    for top_p, kept in {0.4: {1}, 0.6: {1, 3}, 0.8: {1, 2, 3}, 0.95: {0, 1, 2, 3}}.items():
        assert set(draw(row, 500, temperature=1.0, top_p=top_p).tolist()) == kept


def test_a_share_near_zero_or_a_low_temperature_takes_the_most_likely():
    scores = torch.randn(200, 50)
    best = scores.argmax(1)
    assert torch.equal(nucleus(scores, temperature=1.0, top_p=1e-9), best)
    assert torch.equal(nucleus(scores, temperature=5.0, top_p=1e-9), best)
    assert torch.equal(nucleus(scores, temperature=1e-4, top_p=1.0), best)


def test_rows_are_drawn_on_their_own():
    scores = torch.full((3, 4), -50.0)
    scores[torch.arange(3), torch.tensor([2, 0, 3])] = 50.0
    assert nucleus(scores, temperature=1.0, top_p=0.9).tolist() == [2, 0, 3]
    drawn = draw([0.0] * 1000, 200, temperature=1.0, top_p=1.0)
    assert len(drawn.unique()) > 150


def test_impossible_ids_are_never_drawn():
    row = [-math.inf, 0.0, -math.inf, 0.0]
    drawn = draw(row, 2000, temperature=3.0, top_p=1.0)
    assert set(drawn.tolist()) == {1, 3}


def test_one_seed_gives_one_draw():
    def once(seed):
        torch.manual_seed(seed)
        return draw([0.0] * 20, 50, temperature=1.0, top_p=0.9)

    assert torch.equal(once(1), once(1))
    assert not torch.equal(once(1), once(2))


def test_half_precision_is_drawn_from_in_full():
    row = torch.tensor([[1.0, 2.0, 3.0]]).expand(4000, -1)
    torch.manual_seed(3)
    full = nucleus(row, temperature=1.0, top_p=0.9)
    torch.manual_seed(3)
    assert torch.equal(nucleus(row.bfloat16(), temperature=1.0, top_p=0.9), full)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature above 0"):
        nucleus(torch.zeros(1, 3), temperature=temperature, top_p=0.9)


@pytest.mark.parametrize("top_p", [0.0, -0.1, 1.1, math.nan])
def test_a_share_outside_of_its_range_is_refused(top_p):
    with pytest.raises(ValueError, match=r"top_p in \(0, 1\]"):
        nucleus(torch.zeros(1, 3), temperature=1.0, top_p=top_p)
