import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.transforms.block_masking import BlockMasking, MultiBlockMasking

GRIDS = st.tuples(st.integers(1, 9), st.integers(1, 9)).filter(lambda grid: math.prod(grid) > 1)
SEEDS = st.integers(0, 2**31)


def scales(largest):
    return st.tuples(st.floats(0.05, largest), st.floats(0.05, largest)).map(sorted)


def is_rectangle(tokens, columns):
    rows = sorted({token // columns for token in tokens})
    places = sorted({token % columns for token in tokens})
    whole = {row * columns + place for row in rows for place in places}
    gapless = all(side[-1] - side[0] + 1 == len(side) for side in (rows, places))
    return set(tokens) == whole and gapless


@settings(max_examples=80, deadline=None)
@given(GRIDS, st.integers(1, 5), scales(1.0), scales(4.0), scales(1.0), SEEDS)
def test_targets_are_blocks_and_the_context_never_shows_them(
    grid, num_targets, target, aspect, context, seed
):
    masking = MultiBlockMasking(num_targets, target, aspect, context)
    blocks = masking(6, grid, generator=torch.Generator().manual_seed(seed))
    assert blocks.targets.shape[:2] == (6, num_targets)
    assert blocks.context.shape[0] == 6
    assert blocks.context.shape[1] >= 1
    for seen, hidden in zip(blocks.context.tolist(), blocks.targets.tolist(), strict=True):
        assert seen == sorted(set(seen))
        assert all(is_rectangle(block, grid[1]) for block in hidden)
        assert not set(seen) & {token for block in hidden for token in block}
        assert max(seen) < math.prod(grid)


def test_sizes_follow_the_scales_of_the_paper():
    masking = MultiBlockMasking(4, (0.15, 0.2), (0.75, 1.5), (0.85, 1.0))
    sizes = {masking(2, (14, 14)).targets.shape[2] for _ in range(60)}
    assert min(sizes) >= 0.15 * 196 - 7
    assert max(sizes) <= 0.2 * 196 + 7
    assert len(sizes) > 3
    kept = [masking(64, (14, 14)).context.shape[1] for _ in range(20)]
    assert all(0.1 * 196 < number < 0.85 * 196 for number in kept)


def test_places_differ_by_sample_and_sizes_by_batch_only():
    masking = MultiBlockMasking(2, (0.2, 0.5), (0.75, 1.5), (0.85, 1.0))
    targets = masking(64, (8, 8)).targets
    assert len(targets[:, 0].unique(dim=0)) > 8
    assert (targets[:, 0] != targets[:, 1]).any()


def test_every_place_is_equally_likely():
    targets = MultiBlockMasking(1, (0.26, 0.26), (1.0, 1.0), (1.0, 1.0))(6000, (4, 4)).targets
    corners = targets[:, 0, 0].bincount(minlength=16)
    expected = 6000 / 9
    assert (corners > 0).sum() == 9
    assert (corners[corners > 0] - expected).abs().max() < 5 * expected**0.5


def test_context_without_overlap_is_all_that_targets_leave():
    blocks = MultiBlockMasking(1, (0.26, 0.26), (1.0, 1.0), (1.0, 1.0))(5, (4, 4))
    both = torch.cat([blocks.context, blocks.targets[:, 0]], dim=1).sort(dim=1).values
    assert torch.equal(both, torch.arange(16).expand(5, -1))


@settings(max_examples=80, deadline=None)
@given(GRIDS, st.floats(0.01, 0.99), scales(30.0), scales(4.0), SEEDS)
def test_every_sample_hides_the_same_number(grid, ratio, block, aspect, seed):
    masking = BlockMasking(ratio, block, aspect)
    generator = torch.Generator().manual_seed(seed)
    keep, hidden, mask = masking(7, grid, "cpu", generator)
    num_tokens = math.prod(grid)
    assert hidden.shape == (7, max(1, min(round(ratio * num_tokens), num_tokens - 1)))
    both = torch.cat([keep, hidden], dim=1).sort(dim=1).values
    assert torch.equal(both, torch.arange(num_tokens).expand(7, -1))
    assert mask.gather(1, hidden).all()
    assert not mask.gather(1, keep).any()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.floats(0.02, 0.9), SEEDS)
def test_one_large_block_on_one_row_is_a_span(length, ratio, seed):
    masking = BlockMasking(ratio, (length, length), (0.3, 3.3))
    hidden = masking(9, (1, length), generator=torch.Generator().manual_seed(seed)).masked
    assert torch.equal(hidden, hidden[:, :1] + torch.arange(hidden.shape[1]))


def test_hidden_tokens_stick_together_more_than_random_ones():
    def borders(block):
        mask = BlockMasking(0.6, block, (0.3, 10 / 3))(200, (14, 14)).mask.view(-1, 14, 14)
        return (mask[:, 1:] != mask[:, :-1]).float().mean()

    assert borders((16, 118)) < 0.5 * borders((1, 1))


@pytest.mark.parametrize("grid", [(4, 4), (1, 16)])
def test_small_grids_have_many_masks(grid):
    mask = BlockMasking(0.6, (2, 10), (0.3, 10 / 3))(500, grid).mask
    assert (mask.sum(1) == 10).all()
    assert len(mask.unique(dim=0)) > (100 if grid[0] > 1 else 20)
    share = mask.float().mean(0)
    assert (share > 0.15).all()
    assert (share - share.flip(0)).abs().max() < 5 * (0.5 / 500) ** 0.5


ROWS = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def valid_of(rows, columns, more=0):
    """Valid tokens of clips of so many rows, or of texts of so many tokens, and their grid."""
    length = max(max(rows) + more, 2)
    grid = (1, length) if columns == 0 else (length, columns)
    valid = torch.arange(length) < torch.tensor(rows)[:, None]
    return valid.repeat_interleave(max(columns, 1), dim=1), grid


@settings(max_examples=150, deadline=None)
@given(
    ROWS, st.integers(0, 5), st.integers(0, 4), st.floats(0.01, 0.99), scales(30.0), scales(4.0),
    SEEDS,
)  # fmt: skip
def test_of_different_lengths_each_hides_its_own_share(
    rows, columns, more, ratio, block, aspect, seed
):
    valid, grid = valid_of(rows, columns, more)
    generator = torch.Generator().manual_seed(seed)
    masking = BlockMasking(ratio, block, aspect)
    keep, hidden, mask = masking(len(rows), grid, "cpu", generator, valid)
    num_tokens = math.prod(grid)
    both = torch.cat([keep, hidden], dim=1).sort(dim=1).values
    assert torch.equal(both, torch.arange(num_tokens).expand(len(rows), -1))
    assert hidden.shape[1] == masking.num_masked(num_tokens)
    for index in (keep, hidden):
        assert torch.equal(index, index.sort(dim=1).values)
    assert not mask[~valid].any()
    assert not mask.gather(1, keep).any()
    shown = valid & ~mask
    assert (valid.gather(1, keep).sum(1) == shown.sum(1)).all()
    for number, num_valid in zip(mask.sum(1).tolist(), valid.sum(1).tolist(), strict=True):
        assert number == (masking.num_masked(num_valid) if num_valid > 1 else 0)
    assert shown.any(1).all()


@settings(max_examples=30, deadline=None)
@given(GRIDS, st.floats(0.01, 0.99), scales(30.0), scales(4.0), SEEDS)
def test_where_all_is_valid_nothing_changes(grid, ratio, block, aspect, seed):
    masking = BlockMasking(ratio, block, aspect)
    valid = torch.ones(7, math.prod(grid), dtype=torch.bool)
    one, two = (
        masking(7, grid, generator=torch.Generator().manual_seed(seed), valid=given)
        for given in (None, valid)
    )
    assert all(torch.equal(*pair) for pair in zip(one, two, strict=True))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(2, 60), min_size=1, max_size=6), st.floats(0.02, 0.9), SEEDS)
def test_one_large_block_is_a_span_within_each_sequence(lengths, ratio, seed):
    valid, grid = valid_of(lengths, 0, more=5)
    masking = BlockMasking(ratio, (grid[1], grid[1]), (0.3, 3.3))
    mask = masking(len(lengths), grid, "cpu", torch.Generator().manual_seed(seed), valid).mask
    for row in mask:
        (places,) = row.nonzero(as_tuple=True)
        assert places.tolist() == list(range(int(places[0]), int(places[-1]) + 1))


def test_short_clips_have_blocks_as_clustered_and_as_evenly_spread_as_long_ones():
    short = (torch.arange(14) < 7).repeat_interleave(14).expand(3000, -1)
    padded = BlockMasking(0.4, (8, 20), (0.5, 2.0))(3000, (14, 14), valid=short).mask
    alone = BlockMasking(0.4, (8, 20), (0.5, 2.0))(3000, (7, 14)).mask
    padded, alone = padded.view(-1, 14, 14)[:, :7].float(), alone.view(-1, 7, 14).float()
    assert (padded.mean(0) - alone.mean(0)).abs().max() < 7 * (0.25 / 3000) ** 0.5
    borders = [(mask[:, 1:] != mask[:, :-1]).float().mean().item() for mask in (padded, alone)]
    assert borders[0] == pytest.approx(borders[1], rel=0.05)


def test_padding_stays_where_blocks_leave_a_sample_short():
    valid = (torch.arange(40) < 39).expand(500, -1)
    mask = BlockMasking(0.98, (1, 1), (1, 1))(500, (1, 40), valid=valid).mask
    assert (mask.sum(1) == 38).all()
    assert not mask[~valid].any()


@pytest.mark.parametrize("ratio", [0.15, 0.3, 0.35, 0.7, 0.75])
def test_shares_are_rounded_as_those_of_whole_batches(ratio):
    masking = BlockMasking(ratio, (1, 4), (1, 1))
    lengths = list(range(2, 130))
    valid, grid = valid_of(lengths, 0)
    mask = masking(len(lengths), grid, valid=valid).mask
    assert mask.sum(1).tolist() == [masking.num_masked(length) for length in lengths]


def test_no_valid_token_hides_nothing():
    valid = torch.zeros(2, 12, dtype=torch.bool)
    valid[1, 0] = True
    for grid in ((1, 12), (4, 3)):
        assert not BlockMasking(0.5, (2, 4), (1, 1))(2, grid, valid=valid).mask.any()


@pytest.mark.parametrize(
    "masking",
    [
        BlockMasking(0.5, (2, 6), (0.3, 3.3)),
        MultiBlockMasking(3, (0.15, 0.2), (0.75, 1.5), (0.85, 1.0)),
    ],
)
def test_one_seed_gives_one_mask(masking):
    first, again, other = (
        masking(8, (6, 6), generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    assert first[0].shape != other[0].shape or not torch.equal(first[0], other[0])


@pytest.mark.parametrize("limits", [(0.5, 0.2), (0.0, 0.5), (0.5, 1.5)])
def test_ranges_that_make_no_sense_are_refused(limits):
    with pytest.raises(ValueError, match="target_scale must be an increasing pair"):
        MultiBlockMasking(4, limits, (0.75, 1.5), (0.85, 1.0))


def test_a_single_token_is_refused():
    with pytest.raises(ValueError, match="at least two tokens"):
        BlockMasking(0.5, (1, 1), (1, 1))(2, (1, 1))
    with pytest.raises(ValueError, match="at least two tokens"):
        MultiBlockMasking(1, (0.5, 0.5), (1, 1), (1, 1))(2, (1, 1))
