"""Whole groups are resampled: closed forms, and the coverage that items alone would lose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.report.bootstrap import Resampling, num_units, pooled


@given(st.lists(st.integers(0, 5), min_size=2, max_size=40), st.integers(0, 2**32 - 1))
def test_the_mean_of_units_is_that_of_the_items(ids, seed):
    groups = np.array(ids)
    values = np.random.default_rng(seed).random((2, 3, len(groups)))
    units = pooled(values, groups)
    assert units.shape == (2, 3, num_units(groups, groups))
    np.testing.assert_allclose(units.mean(2), values.mean(2), atol=1e-5)


def test_groups_of_one_size_are_their_means():
    values = np.arange(6.0).reshape(1, 1, 6)
    np.testing.assert_allclose(pooled(values, np.array([0, 0, 1, 1, 2, 2]))[0, 0], [0.5, 2.5, 4.5])


def test_without_groups_nothing_changes():
    values = np.random.default_rng(0).random((2, 1, 7))
    assert pooled(values, None) is values
    assert num_units(np.zeros(7, dtype=int), None) == 7


def test_intervals_of_grouped_items_cover_and_those_of_single_items_do_not():
    rng, groups = np.random.default_rng(3), np.repeat(np.arange(60), 6)
    covered = {"groups": 0, "items": 0}
    by_group, by_item = (Resampling(num, num_replicates=400) for num in (60, 360))
    for _ in range(800):
        level = rng.beta(2, 2, size=60)[groups]  # the mean over all groups there could be is 0.5
        values = (rng.random(360) < level).astype(np.float32)[None, None]
        for name, resampling, scores in (
            ("groups", by_group, pooled(values, groups)),
            ("items", by_item, values),
        ):
            interval = resampling.interval(scores)
            covered[name] += interval.low <= 0.5 <= interval.high
    assert covered["groups"] / 800 == pytest.approx(0.95, abs=0.025)
    assert covered["items"] / 800 < 0.88
