import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.transforms.masking import RandomMasking, gather_tokens


@settings(max_examples=60, deadline=None)
@given(
    ratio=st.floats(0.001, 0.999),
    batch=st.integers(1, 9),
    num_tokens=st.integers(1, 80),
    seed=st.integers(0, 2**31),
)
def test_keep_and_hidden_divide_the_tokens(ratio, batch, num_tokens, seed):
    generator = torch.Generator().manual_seed(seed)
    keep, hidden, mask = RandomMasking(ratio)(batch, num_tokens, "cpu", generator)
    num_hidden = min(round(ratio * num_tokens), num_tokens - 1)
    assert hidden.shape == (batch, num_hidden)
    assert keep.shape == (batch, num_tokens - num_hidden)
    both = torch.cat([keep, hidden], dim=1).sort(dim=1).values
    assert torch.equal(both, torch.arange(num_tokens).expand(batch, -1))
    assert mask.gather(1, hidden).all()
    assert not mask.gather(1, keep).any()
    assert (mask.sum(1) == num_hidden).all()


def test_samples_have_permutations_of_their_own():
    mask = RandomMasking(0.75)(64, 64).mask
    assert len(mask.unique(dim=0)) == 64


def test_every_token_is_hidden_equally_often():
    num, ratio = 4000, 0.75
    share = RandomMasking(ratio)(num, 16).mask.float().mean(0)
    assert (share - ratio).abs().max() < 5 * (ratio * (1 - ratio) / num) ** 0.5


def test_one_seed_gives_one_mask():
    draw = [
        RandomMasking(0.6)(8, 49, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    ]
    assert torch.equal(draw[0].mask, draw[1].mask)
    assert not torch.equal(draw[0].mask, draw[2].mask)


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.5, 1.5, float("nan")])
def test_a_ratio_outside_of_the_open_interval_is_refused(ratio):
    with pytest.raises(ValueError, match="ratio must lie strictly between 0 and 1"):
        RandomMasking(ratio)


def test_no_token_is_refused():
    with pytest.raises(ValueError, match="at least one token"):
        RandomMasking(0.5)(2, 0)


@pytest.mark.parametrize("shape", [(3, 10, 4), (3, 10), (3, 10, 2, 2)])
def test_gathered_tokens_are_those_that_indexing_gives(shape):
    tokens = torch.rand(shape, requires_grad=True)
    keep, _, _ = RandomMasking(0.5)(3, 10)
    chosen = gather_tokens(tokens, keep)
    assert torch.equal(chosen, tokens[torch.arange(3)[:, None], keep])
    chosen.sum().backward()
    assert (tokens.grad.flatten(2).sum(2) if len(shape) > 2 else tokens.grad).count_nonzero() == 15
