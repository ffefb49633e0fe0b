"""Which tokens are chosen, what becomes of them, and that padding is never touched."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.transforms.masking import RandomMasking, TokenMasking
from trivium.types import BOS, EOS, MASK, PAD

VOCABULARY = 50


def texts(lengths, length):
    """Texts with a begin and an end of so many tokens in all, padded to one length."""
    lengths = torch.tensor(lengths)[:, None]
    places = torch.arange(length)
    valid = places < lengths
    ids = torch.randint(4, VOCABULARY, valid.shape)
    ids = ids.where(places < lengths - 1, EOS).where(valid, PAD)
    ids[:, 0] = BOS
    return ids, valid


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@given(
    st.lists(st.integers(2, 40), min_size=1, max_size=6),
    st.floats(0, 1),
    st.integers(0, 2**31),
)
def test_the_rounded_share_of_each_text_is_chosen_and_one_at_least(lengths, ratio, seed):
    ids, valid = texts(lengths, 41)
    masked = TokenMasking(ratio)(ids, valid, VOCABULARY, seeded(seed))
    for number, length in zip(masked.chosen.sum(1).tolist(), lengths, strict=True):
        words = length - 2
        exact = ratio * words
        assert abs(number - min(max(exact, 1), words)) <= 0.5 + 1e-4
    untouched = ~masked.chosen
    assert torch.equal(masked.ids[untouched], ids[untouched])
    assert (ids[masked.chosen] >= 4).all()
    assert (masked.ids[masked.chosen] >= MASK).all()


@pytest.mark.parametrize("ratio", [0.15, 0.5, 1.0])
def test_special_tokens_and_padding_are_never_chosen(ratio):
    ids, valid = texts([12, 7, 3, 2], 12)
    ids[0, 5] = MASK
    ids[0, 6] = EOS  # texts may be joined into one stream
    for _ in range(20):
        chosen = TokenMasking(ratio)(ids, valid, VOCABULARY).chosen
        assert not chosen[ids < 4].any()
        assert not chosen[~valid].any()
        assert chosen.any(1).tolist() == [True, True, True, False]


def test_words_that_stand_in_the_padding_are_not_chosen():
    ids = torch.full((64, 10), 7)
    valid = torch.arange(10).expand(64, -1) < 4
    masked = TokenMasking(0.5)(ids, valid, VOCABULARY)
    assert masked.chosen[:, :4].sum(1).tolist() == [2] * 64
    assert not masked.chosen[:, 4:].any()
    assert (masked.ids[:, 4:] == 7).all()
    assert TokenMasking(0.5)(ids, None, VOCABULARY).chosen.sum(1).tolist() == [5] * 64


def test_shares_are_those_of_bert():
    ids, valid = texts([102] * 1000, 102)
    masked = TokenMasking(0.15)(ids, valid, VOCABULARY)
    assert masked.chosen.sum(1).tolist() == [15] * 1000
    was, now = ids[masked.chosen], masked.ids[masked.chosen]
    hidden, same = now == MASK, now == was
    num = len(was)

    def close(flags, share):
        return abs(flags.float().mean().item() - share) < 5 * (share * (1 - share) / num) ** 0.5

    stays = 0.1 + 0.1 / (VOCABULARY - 4)  # a random token may be the same by chance
    assert close(hidden, 0.8)
    assert close(same, stays)
    assert close(~hidden & ~same, 0.2 - stays)


def test_random_tokens_are_uniform_and_never_special():
    ids, valid = texts([102] * 1000, 102)
    masked = TokenMasking(0.5, mask=0.0, random=1.0)(ids, valid, VOCABULARY)
    count = masked.ids[masked.chosen].bincount(minlength=VOCABULARY)
    assert count[:4].sum() == 0
    expected = count.sum() / (VOCABULARY - 4)
    assert ((count[4:] - expected).abs() < 5 * expected.sqrt()).all()
    assert len(count) == VOCABULARY


def test_every_word_is_chosen_equally_often():
    ids, valid = texts([18] * 4000, 20)
    share = TokenMasking(0.25)(ids, valid, VOCABULARY).chosen.float().mean(0)
    assert (share[1:17] - 0.25).abs().max() < 5 * (0.25 * 0.75 / 4000) ** 0.5
    assert share[[0, 17, 18, 19]].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("mask", "random", "becomes"), [(1.0, 0.0, "mask"), (0.0, 0.0, "same"), (0.0, 1.0, "word")]
)
def test_extreme_shares_leave_no_choice(mask, random, becomes):
    ids, valid = texts([30, 20], 30)
    masked = TokenMasking(0.5, mask=mask, random=random)(ids, valid, VOCABULARY)
    now = masked.ids[masked.chosen]
    assert (now == MASK).all() == (becomes == "mask")
    assert torch.equal(masked.ids, ids) == (becomes == "same")
    assert (now >= 4).all() == (becomes != "mask")


def test_the_mask_is_new_at_every_call_and_one_seed_gives_one():
    ids, valid = texts([40, 40, 30, 20], 40)
    masking = TokenMasking(0.15)
    before = ids.clone()
    assert not torch.equal(*(masking(ids, valid, VOCABULARY).chosen for _ in range(2)))
    first, second = (masking(ids, valid, VOCABULARY, seeded(3)) for _ in range(2))
    assert torch.equal(first.ids, second.ids)
    assert torch.equal(first.chosen, second.chosen)
    assert not torch.equal(first.chosen, masking(ids, valid, VOCABULARY, seeded(4)).chosen)
    assert torch.equal(ids, before)


def test_texts_have_masks_of_their_own():
    ids, valid = texts([40] * 64, 40)
    ids[:] = ids[0]
    assert len(TokenMasking(0.3)(ids, valid, VOCABULARY).chosen.unique(dim=0)) == 64


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"ratio": 1.1}, "ratio"),
        ({"ratio": -0.1}, "ratio"),
        ({"ratio": 0.1, "mask": 1.2}, "mask"),
        ({"ratio": 0.1, "random": -0.1}, "random"),
        ({"ratio": 0.1, "mask": 0.8, "random": 0.3}, r"mask \+ random"),
    ],
)
def test_shares_that_are_none_are_refused(settings, name):
    with pytest.raises(ValueError, match=f"{name} is a probability"):
        TokenMasking(**settings)


@settings(max_examples=200)
@given(
    st.floats(0.01, 0.99),
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.integers(0, 10),
    st.integers(0, 2**31),
)
def test_random_masking_hides_its_share_of_the_valid_and_no_padding(ratio, lengths, more, seed):
    total = max(lengths) + more
    valid = torch.arange(total) < torch.tensor(lengths)[:, None]
    keep, hidden, mask = RandomMasking(ratio)(
        len(lengths), total, generator=seeded(seed), valid=valid
    )
    both = torch.cat([keep, hidden], dim=1).sort(dim=1).values
    assert torch.equal(both, torch.arange(total).expand(len(lengths), -1))
    assert keep.shape[1] == total - min(round(ratio * total), total - 1)
    assert torch.equal(keep, keep.sort(1).values)
    assert not mask[~valid].any()
    for number, length in zip(mask.sum(1).tolist(), lengths, strict=True):
        assert abs(number - min(ratio * length, length - 1)) <= 0.5 + 1e-4
    assert not mask.gather(1, keep).any()
    shown = (valid & ~mask).sum(1)
    assert (valid.gather(1, keep).sum(1) == shown).all()
    assert (shown >= 1).all()


@pytest.mark.parametrize("ratio", [0.15, 0.3, 0.7, 0.75])
def test_without_padding_valid_changes_nothing_and_no_hidden_token_is_kept(ratio):
    masking = RandomMasking(ratio)
    for total in range(1, 130):
        valid = torch.ones(2, total, dtype=torch.bool)
        keep, _, mask = masking(2, total, valid=valid)
        assert mask.sum(1).tolist() == [masking.num_masked(total)] * 2
        assert not mask.gather(1, keep).any()


def test_every_valid_token_is_hidden_equally_often():
    valid = (torch.arange(16) < 12).expand(4000, -1)
    share = RandomMasking(0.75)(4000, 16, valid=valid).mask.float().mean(0)
    assert (share[:12] - 0.75).abs().max() < 5 * (0.75 * 0.25 / 4000) ** 0.5
    assert not share[12:].any()
