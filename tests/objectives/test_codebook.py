"""The codebook against an independent transcription of 1711.00937, appendix A.1.

Tolerances are those of torch.testing.assert_close for float32; distances against torch.cdist.
"""

import copy
import math

import pytest
import torch

from trivium.objectives.codebook import Codebook, perplexity

EVERY = torch.ones(40, dtype=torch.bool)


@pytest.fixture
def items():
    return torch.randn(40, 3)


def started(items, num_codes=5, restart=0.1):
    """A codebook whose codes were made by one batch."""
    codebook = Codebook(num_codes, 3, decay=0.9, restart=restart)
    codebook(items, EVERY, learn=True)
    return codebook


def state(codebook):
    return copy.deepcopy(codebook.state_dict())


def test_the_nearest_code_is_chosen(items):
    codebook = started(items)
    values, ids, _ = codebook(items, EVERY, learn=False)
    assert torch.equal(ids, torch.cdist(items, codebook.codes).argmin(1))
    assert torch.equal(values, codebook.codes[ids])
    assert len(ids.unique()) > 1


def test_the_averages_follow_the_appendix(items):
    codebook = started(items, restart=1e-6)
    codes, counts, sums = (codebook.state_dict()[k].tolist() for k in ("codes", "counts", "sums"))
    fresh = (items + 0.3).tolist()
    quantised = codebook(items + 0.3, EVERY, learn=True)
    chosen = [min(range(5), key=lambda k: math.dist(z, codes[k])) for z in fresh]
    assert quantised.ids.tolist() == chosen
    torch.testing.assert_close(quantised.values, torch.tensor([codes[k] for k in chosen]))
    for k in range(5):
        mine = [z for z, choice in zip(fresh, chosen, strict=True) if choice == k]
        counts[k] = 0.9 * counts[k] + 0.1 * len(mine)
        sums[k] = [0.9 * sums[k][c] + 0.1 * sum(z[c] for z in mine) for c in range(3)]
    total = sum(counts)
    smoothed = [(count + 1e-5) / (total + 5e-5) * total for count in counts]
    expected = [[value / n for value in row] for row, n in zip(sums, smoothed, strict=True)]
    torch.testing.assert_close(codebook.counts, torch.tensor(counts))
    torch.testing.assert_close(codebook.sums, torch.tensor(sums))
    torch.testing.assert_close(codebook.codes, torch.tensor(expected))


def test_with_decay_0_codes_are_the_means_of_their_items(items):
    codebook = Codebook(5, 3, decay=0.0, restart=1e-6)
    ids = codebook(items, EVERY, learn=True).ids
    for k in ids.unique():
        torch.testing.assert_close(codebook.codes[k], items[ids == k].mean(0), rtol=1e-4, atol=1e-4)


def test_the_first_batch_makes_all_codes_of_different_items(items):
    codebook = Codebook(40, 3, decay=0.99, restart=0.1)
    values, ids, spread = codebook(items, EVERY, learn=True)
    assert sorted(ids.tolist()) == list(range(40))
    assert torch.equal(values, items)
    assert spread.item() == pytest.approx(40)
    assert torch.equal(codebook.counts, torch.ones(40))


def test_more_codes_than_items(items):
    codebook = Codebook(100, 3, decay=0.99, restart=0.1)
    assert torch.equal(codebook(items, EVERY, learn=True).values, items)


def test_only_dead_codes_start_again_from_this_batch(items):
    codebook = started(items, restart=0.25)  # of 40 items on 5 codes: dead below 2
    codebook.counts.copy_(torch.tensor([8.0, 1.9, 8.0, 2.1, 0.0]))
    codebook.sums.copy_(codebook.codes * codebook.counts.unsqueeze(1))
    codebook.decay = 1.0  # nothing else moves, but for the smoothing
    before, far = state(codebook), items + 50
    values, ids, _ = codebook(far, EVERY, learn=True)
    for k in (0, 2, 3):
        torch.testing.assert_close(codebook.codes[k], before["codes"][k], rtol=1e-4, atol=1e-5)
        assert codebook.counts[k] == before["counts"][k]
    for k in (1, 4):
        assert codebook.counts[k] == 8
        assert (far == values[ids == k][0]).all(1).any()
        torch.testing.assert_close(codebook.codes[k], values[ids == k][0])
    assert set(ids.tolist()) == {1, 4}


def test_a_restart_repeats_with_the_seed(items):
    def run():
        torch.manual_seed(4)
        return started(items).state_dict()

    for one, other in zip(run().values(), run().values(), strict=True):
        assert torch.equal(one, other)


def test_invalid_items_are_neither_learnt_nor_counted(items):
    valid = torch.arange(40) < 10
    outliers = torch.where(valid.unsqueeze(1), items, torch.full_like(items, 1e4))
    codebook = Codebook(20, 3, decay=0.9, restart=0.1)
    spread = codebook(outliers, valid, learn=True).perplexity
    assert codebook.codes.abs().max() < 10
    assert codebook.counts.sum().item() == pytest.approx(10)
    assert spread.item() == pytest.approx(10)


def test_it_rests_unless_it_learns_and_never_has_a_gradient(items):
    codebook = started(items)
    before = state(codebook)
    values = codebook(items.requires_grad_(), EVERY, learn=False).values
    assert not values.requires_grad
    assert all(torch.equal(before[key], value) for key, value in codebook.state_dict().items())
    assert list(codebook.parameters()) == []


def test_perplexity_counts_codes():
    assert perplexity(torch.tensor([3.0, 3.0, 0.0, 3.0])).item() == pytest.approx(3)
    assert perplexity(torch.tensor([0.0, 7.0])).item() == pytest.approx(1)
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert perplexity(torch.tensor([1.0, 3.0])).item() == pytest.approx(math.exp(entropy))


@pytest.mark.parametrize(("decay", "restart"), [(1.0, 0.1), (-0.1, 0.1), (0.9, 0.0), (0.9, 1.0)])
def test_settings_out_of_range(decay, restart):
    with pytest.raises(ValueError, match="a codebook needs a decay"):
        Codebook(4, 3, decay=decay, restart=restart)
