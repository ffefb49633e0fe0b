import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trivium.transforms.text import SpanCrop, TextPipeline, TextViews, TokenDeletion, is_bound
from trivium.types import PAD


def batch_of(lengths, width):
    places = torch.arange(width)
    valid = places < torch.tensor(lengths)[:, None]
    ids = (places + 10 + 100 * torch.arange(len(lengths))[:, None]).masked_fill(~valid, PAD)
    return ids, valid


batches = st.lists(st.integers(1, 12), min_size=1, max_size=6).map(lambda n: batch_of(n, 12))
ops = st.one_of(
    st.floats(0, 1).map(TokenDeletion),
    st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda s: SpanCrop(tuple(sorted(s)))),
)


@given(batches, ops, st.integers(0, 2**31))
def test_a_view_is_a_subsequence_with_its_bounds_and_padding_behind(batch, op, seed):
    ids, valid = batch
    view = TextPipeline([op])(ids, valid, torch.Generator().manual_seed(seed))
    assert view.values.shape == ids.shape
    for row, kept, before, present in zip(view.values, view.valid, ids, valid, strict=True):
        num, whole = int(kept.sum()), before[present].tolist()
        assert kept.tolist() == [True] * num + [False] * (len(kept) - num)
        assert (row[num:] == PAD).all()
        stayed = row[:num].tolist()
        assert stayed == sorted(stayed)
        assert set(stayed) <= set(whole)
        assert {whole[0], whole[-1]} <= set(stayed)


@given(batches, st.floats(0, 1), st.integers(0, 2**31))
def test_a_crop_is_one_span_of_the_asked_share(batch, share, seed):
    ids, valid = batch
    view = TextPipeline([SpanCrop((share, share))])(ids, valid, torch.Generator().manual_seed(seed))
    for row, kept, present in zip(view.values, view.valid, valid, strict=True):
        inner = row[kept].tolist()[1:-1]
        size = int(present.sum()) - 2
        if size > 0:
            assert inner == list(range(inner[0], inner[0] + len(inner)))
            assert abs(len(inner) - max(1, share * size)) <= 0.5 + 1e-4


def test_deletion_happens_at_its_rate_and_differs_between_samples():
    _ids, valid = batch_of([12] * 4000, 12)
    kept = TokenDeletion(0.2).keep(valid, torch.Generator().manual_seed(0))
    assert kept[:, 1:-1].float().mean().item() == pytest.approx(0.8, abs=0.01)
    assert len({tuple(row) for row in kept.tolist()}) > 300


def test_a_text_of_padding_alone_has_no_bounds_beyond_its_first_place():
    assert is_bound(torch.zeros(1, 3, dtype=torch.bool)).tolist() == [[True, False, False]]


def test_dropout_views_are_the_same_ids_twice():
    ids, valid = batch_of([3, 7], 8)
    first, second = TextViews([TextPipeline([]), TextPipeline([])])(ids, None, valid)
    assert torch.equal(first.values, ids)
    assert torch.equal(second.values, ids)
    assert torch.equal(first.valid, valid)


def test_two_mild_views_differ_and_repeat_with_the_generator():
    ids, valid = batch_of([12] * 8, 12)
    recipe = TextViews([TextPipeline([TokenDeletion(0.5)])] * 2)
    first, second = recipe(ids, torch.Generator().manual_seed(1), valid)
    again, _ = recipe(ids, torch.Generator().manual_seed(1), valid)
    assert not torch.equal(first.values, second.values)
    assert torch.equal(first.values, again.values)


def test_without_a_mask_every_token_counts():
    ids, _ = batch_of([5, 5], 5)
    (view,) = TextViews([TextPipeline([])])(ids)
    assert view.valid.all()


@pytest.mark.parametrize("make", [lambda: TokenDeletion(1.5), lambda: SpanCrop((0.5, 2.0))])
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="must"):
        make()


def test_a_recipe_without_views_is_refused():
    with pytest.raises(ValueError, match="at least one view"):
        TextViews([])
