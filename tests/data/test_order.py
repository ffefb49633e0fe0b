import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.data.errors import DataError
from trivium.data.samplers import batch_indices, num_batches_per_epoch

runs = st.tuples(
    st.integers(1, 200), st.integers(1, 20), st.integers(0, 2**31), st.integers(1, 4)
).filter(lambda run: run[0] >= run[1] * run[3])


@given(runs, st.integers(0, 3))
def test_an_epoch_holds_every_sample_at_most_once_over_all_ranks(run, epoch):
    size, share, seed, world_size = run
    pool = np.arange(size) * 7 + 3
    num = num_batches_per_epoch(size, share * world_size)
    seen = np.concatenate(
        [
            batch_indices(
                pool,
                seed=seed,
                step=epoch * num + k,
                batch_size=share * world_size,
                rank=rank,
                world_size=world_size,
            )
            for k in range(num)
            for rank in range(world_size)
        ]
    )
    assert len(seen) == num * share * world_size > size - share * world_size
    assert len(np.unique(seen)) == len(seen)
    assert np.isin(seen, pool).all()


@given(runs, st.integers(0, 50))
def test_ranks_together_make_the_batch_of_one_process(run, step):
    size, share, seed, world_size = run
    pool = np.arange(size)
    arguments = {"seed": seed, "step": step, "batch_size": share * world_size}
    parts = [
        batch_indices(pool, rank=rank, world_size=world_size, **arguments)
        for rank in range(world_size)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), batch_indices(pool, **arguments))


def test_it_depends_on_seed_and_step_alone():
    pool = np.arange(64)
    forwards = [batch_indices(pool, seed=5, step=k, batch_size=10) for k in range(20)]
    backwards = [batch_indices(pool, seed=5, step=k, batch_size=10) for k in reversed(range(20))]
    np.testing.assert_array_equal(forwards, backwards[::-1])
    assert not np.array_equal(forwards[0], batch_indices(pool, seed=6, step=0, batch_size=10))


def test_epochs_are_shuffled_anew():
    pool = np.arange(60)
    first, second = (
        np.concatenate(
            [batch_indices(pool, seed=1, step=6 * e + k, batch_size=10) for k in range(6)]
        )
        for e in range(2)
    )
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.sort(first), np.sort(second))
    assert not np.array_equal(first, pool)


@pytest.mark.parametrize(
    ("size", "batch", "rank", "world"), [(9, 10, 0, 1), (90, 10, 0, 3), (90, 10, 2, 2)]
)
def test_what_cannot_be_shared_is_one_clear_error(size, batch, rank, world):
    with pytest.raises(DataError, match="batch"):
        batch_indices(
            np.arange(size), seed=0, step=0, batch_size=batch, rank=rank, world_size=world
        )
