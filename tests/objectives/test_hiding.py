"""Mask tokens in the place of hidden tokens: what is hidden, what is seen, and what is shown."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clips import CLIPS, LONGER, mels, spectrogram, wave, waves
from trivium.data.spectrogram import SILENCE
from trivium.encoders.text import TextTransformer
from trivium.objectives.masking import MaskTokens, reconstruct
from trivium.types import MASK, DataSpec

BLOCKS = {"ratio": 0.5, "block": (2, 5), "aspect_ratio": (0.3, 3.3)}


@pytest.fixture
def encoder():
    return spectrogram(patch=(2, 8))


@pytest.fixture
def hiding():
    return MaskTokens(32, **BLOCKS)


@given(st.lists(st.integers(1, 24), min_size=1, max_size=4))
@settings(max_examples=25)
def test_each_clip_hides_its_share_of_its_own_tokens(lengths):
    encoder, hiding = spectrogram(patch=(2, 8)), MaskTokens(32, **BLOCKS)
    view = mels([24, *lengths])
    tokens = encoder.embed(view.values, view.valid)
    mask = hiding.draw(tokens, encoder.stem)
    assert not (mask.mask & ~tokens.valid).any()
    assert mask.mask.sum(1).tolist() == [12, *(-(-length // 2) for length in lengths)]


@pytest.mark.parametrize(("make", "view"), [(spectrogram, mels([24, 20])), (wave, waves([3840]))])
def test_spans_lie_side_by_side(make, view):
    encoder = make()
    hiding = MaskTokens(32, ratio=0.5, block=(3, 3))
    tokens = encoder.embed(view.values, view.valid)
    masks = torch.cat([hiding.draw(tokens, encoder.stem).mask for _ in range(50)])
    runs = masks.long().diff(dim=1).eq(1).sum(1) + masks[:, 0]
    # 6 (or 5) tokens of 12 (or 10) in spans of 3, the last of which may be cut.
    assert runs.max() <= 3
    assert runs.float().mean() < 2.5
    apart = MaskTokens(32, ratio=0.5, block=(1, 1)).draw(tokens, encoder.stem).mask
    assert apart.sum() == masks[: len(view.values)].sum()


def test_a_mask_token_with_its_position_stands_where_a_token_was(encoder, hiding):
    view = mels([18, 7])
    tokens = encoder.embed(view.values, view.valid)
    mask = hiding.draw(tokens, encoder.stem)
    hidden = hiding(tokens, mask, encoder.stem)
    for row in range(2):
        for place in range(18):
            expected = tokens.values[row, place]
            if mask.mask[row, place]:
                expected = hiding.token + encoder.stem.positions[place]
            assert torch.equal(hidden.values[row, place], expected)
    assert torch.equal(hidden.valid, tokens.valid)


def test_what_is_hidden_is_seen_by_nobody(encoder, hiding):
    view = mels([24, 15])
    tokens = encoder.embed(view.values, view.valid)
    mask = hiding.draw(tokens, encoder.stem)
    noise = torch.where(mask.mask[..., None], torch.randn_like(tokens.values), tokens.values)
    other = tokens._replace(values=noise)
    first, second = (
        encoder.contextualise(hiding(each, mask, encoder.stem)) for each in (tokens, other)
    )
    assert torch.equal(first.tokens, second.tokens)


def test_the_token_learns_and_what_it_hides_does_not(encoder, hiding):
    tokens = encoder.embed(mels([24]).values)
    values = tokens.values.detach().requires_grad_()
    mask = hiding.draw(tokens, encoder.stem)
    hidden = hiding(tokens._replace(values=values), mask, encoder.stem)
    hidden.values.square().sum().backward()
    assert torch.equal(values.grad.abs().sum(2) > 0, ~mask.mask)
    assert hiding.token.grad.count_nonzero() == 32


def test_it_keeps_the_precision_of_the_tokens(encoder, hiding):
    tokens = encoder.embed(mels([24]).values)
    tokens = tokens._replace(values=tokens.values.bfloat16())
    mask = hiding.draw(tokens, encoder.stem)
    assert hiding(tokens, mask, encoder.stem).values.dtype == torch.bfloat16


def test_hidden_log_mel_is_silent_for_the_eye(encoder):
    view = mels([24, 9])
    hidden = torch.rand(2, 24) < 0.5
    rows = reconstruct(encoder.stem, view.values, hidden)
    assert list(rows) == ["input", "masked"]
    torch.testing.assert_close(rows["input"], view.values)
    patches = rows["masked"].view(2, 12, 2, 2, 8).transpose(2, 3).flatten(1, 2).flatten(2)
    expected = view.values.view(2, 12, 2, 2, 8).transpose(2, 3).flatten(1, 2).flatten(2)
    silent = torch.full_like(expected, SILENCE)
    expected = torch.where(hidden[..., None], silent, expected)
    torch.testing.assert_close(patches, expected, atol=1e-4, rtol=1e-5)


def test_hidden_pieces_of_waves_are_zero_for_the_ear():
    stem, view = wave().stem, waves([1280, 700])
    hidden = torch.tensor([[True, False, False, True], [False, True, False, False]])
    rows = reconstruct(stem, view.values, hidden)
    pieces = rows["masked"].view(2, 4, 320)
    assert pieces[hidden].eq(0).all()
    assert torch.equal(pieces[~hidden], rows["input"].view(2, 4, 320)[~hidden])


def test_hidden_words_are_mask_ids_for_the_eye():
    data = DataSpec("short", "text", (12,), 0, 100, (), (), vocabulary=20)
    stem = TextTransformer(data, name="text_test", width=16, depth=1, num_heads=2).stem
    ids, hidden = torch.randint(4, 20, (3, 9)), torch.rand(3, 9) < 0.5
    rows = reconstruct(stem, ids, hidden)
    assert torch.equal(rows["text"], ids)
    assert torch.equal(rows["masked"], ids.masked_fill(hidden, MASK))


def test_specs_are_as_they_say():
    assert spectrogram().stem.grid == (12, 1)
    assert wave(LONGER).stem.grid == (12, 1)
    assert wave(CLIPS).stem.grid == (3, 1)
