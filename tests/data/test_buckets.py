import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trivium.data.samplers import WINDOW, Buckets, batch_indices, permutation

sizes = st.tuples(st.integers(1, 8), st.integers(1, 400), st.integers(0, 2**31), st.integers(0, 3))


def lengths_of(size):
    return np.random.default_rng(size).integers(2, 50, size)


@given(sizes)
def test_an_epoch_is_a_permutation_whose_tail_is_that_of_the_plain_one(case):
    batch_size, size, seed, epoch = case
    order = Buckets(lengths_of(size), batch_size=batch_size)(seed, epoch, size)
    assert np.array_equal(np.sort(order), np.arange(size))
    whole = size // batch_size * batch_size
    assert np.array_equal(order[whole:], permutation(seed, epoch, size)[whole:])


@given(sizes)
def test_batches_of_a_window_are_cut_from_its_sorted_samples(case):
    batch_size, size, seed, epoch = case
    lengths, num = lengths_of(size), size // batch_size
    order = Buckets(lengths, batch_size=batch_size)(seed, epoch, size)
    batches = {tuple(row) for row in order[: num * batch_size].reshape(num, batch_size)}
    plain = permutation(seed, epoch, size)[: num * batch_size]
    for first in range(0, num, WINDOW):
        window = plain[first * batch_size : (first + WINDOW) * batch_size]
        ordered = sorted(window, key=lambda i: lengths[i])
        found = [b for b in batches if set(b) <= set(window.tolist())]
        assert len(found) == len(window) // batch_size
        spans = sorted((min(lengths[list(b)]), max(lengths[list(b)])) for b in found)
        cuts = [lengths[ordered[k : k + batch_size]] for k in range(0, len(window), batch_size)]
        assert spans == sorted((min(cut), max(cut)) for cut in cuts)


def test_little_is_padded_and_epochs_differ():
    lengths = lengths_of(5000)
    order = Buckets(lengths, batch_size=50)
    first, second = order(0, 0, 5000), order(0, 1, 5000)
    padding = {
        name: 1 - lengths.sum() / (lengths[which].reshape(-1, 50).max(1) * 50).sum()
        for name, which in (("bucketed", first), ("plain", permutation(0, 0, 5000)))
    }
    assert padding["bucketed"] < 0.05 < 0.3 < padding["plain"]
    assert not np.array_equal(first, second)
    assert np.array_equal(first, Buckets(lengths, batch_size=50)(0, 0, 5000))
    means = lengths[first].reshape(-1, 50).mean(1)
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.4  # short and long batches are mixed


def test_ranks_share_a_bucketed_batch():
    pool = np.arange(100) + 1000
    settings = {"seed": 3, "step": 7, "order": Buckets(lengths_of(100), batch_size=8)}
    whole = batch_indices(pool, batch_size=8, **settings)
    parts = [batch_indices(pool, batch_size=8, rank=r, world_size=2, **settings) for r in (0, 1)]
    assert np.array_equal(np.concatenate(parts), whole)
