from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trivium.data.errors import DataError
from trivium.data.splits import carve, label_fraction, training_share

labellings = st.integers(4, 300).flatmap(lambda n: arrays(np.int64, n, elements=st.integers(0, 5)))


@given(labellings)
def test_carving_divides_every_class_by_its_share(labels):
    pool = np.arange(len(labels))
    kept, carved = carve(pool, labels)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, carved])), pool)
    for group in np.unique(labels):
        size, part = np.sum(labels == group), np.sum(labels[carved] == group)
        assert abs(part - 0.1 * size) <= 1
        assert part < size
        assert part >= 1 or size == 1


@given(labellings, st.integers(0, 4), st.lists(st.floats(0.001, 1), min_size=2, max_size=4))
def test_fractions_are_nested_and_leave_no_class_out(labels, draw, fractions):
    pool = np.arange(0, len(labels), 2)
    parts = [label_fraction(pool, labels, fraction=f, draw=draw) for f in sorted(fractions)]
    for small, large in pairwise(parts):
        assert set(small.tolist()) <= set(large.tolist())
    for fraction, part in zip(sorted(fractions), parts, strict=True):
        assert set(part.tolist()) <= set(pool.tolist())
        for group, size in zip(*np.unique(labels[pool], return_counts=True), strict=True):
            expected = max(1, fraction * size)
            assert abs(np.sum(labels[part] == group) - expected) <= 0.5


@given(labellings)
def test_the_whole_fraction_is_the_pool(labels):
    pool = np.arange(1, len(labels))
    np.testing.assert_array_equal(label_fraction(pool, labels, fraction=1.0, draw=3), pool)


def test_draws_differ_and_repeat():
    labels = np.zeros(1000, np.int64)
    pool = np.arange(1000)
    first, again, other = (label_fraction(pool, labels, fraction=0.1, draw=d) for d in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert len(np.intersect1d(first, other)) < 40  # 10 expected by chance


def test_an_unlabelled_pool_is_divided_without_strata():
    kept, carved = carve(np.arange(50), None)
    assert (len(kept), len(carved)) == (45, 5)


def test_two_carvings_of_one_pool_are_independent():
    pool, labels = np.arange(1000), np.zeros(1000, np.int64)
    overlap = np.intersect1d(carve(pool, labels)[1], carve(pool, labels, stream=1)[1])
    assert len(overlap) < 40


def test_the_protocols_split_never_changes():
    _, carved = carve(np.arange(40), np.arange(40) % 2)
    assert carved.tolist() == [1, 4, 6, 7]


@given(labellings, st.integers(1, 40))
def test_whole_groups_are_carved(labels, num_groups):
    groups = np.arange(len(labels)) * 7 % num_groups + 100
    pool = np.arange(0, len(labels), 2)
    kept, carved = carve(pool, labels, groups=groups)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, carved])), pool)
    assert not np.intersect1d(groups[kept], groups[carved]).size
    for part in (kept, carved):
        np.testing.assert_array_equal(part, np.sort(part))


def test_groups_are_stratified_by_the_class_of_most_of_their_samples():
    groups = np.repeat(np.arange(60), 5)
    labels = np.where(np.arange(300) % 5 == 0, 1, groups % 3)  # one stray sample in each group
    _, carved = carve(np.arange(300), labels, share=0.2, groups=groups)
    np.testing.assert_array_equal(np.bincount(np.unique(groups[carved]) % 3), [4, 4, 4])
    assert len(carved) == 12 * 5


def test_groups_of_one_are_carved_like_samples():
    pool, labels = np.arange(90), np.arange(90) % 4
    for grouped, plain in zip(
        carve(pool, labels, groups=np.arange(90)), carve(pool, labels), strict=True
    ):
        np.testing.assert_array_equal(grouped, plain)


@pytest.mark.parametrize(("fraction", "draw"), [(0.0, 0), (1.1, 0), (0.5, -1)])
def test_impossible_fractions_are_refused(fraction, draw):
    with pytest.raises(DataError, match="fraction"):
        label_fraction(np.arange(9), np.zeros(9, np.int64), fraction=fraction, draw=draw)


@given(labellings, st.integers(0, 2**40), st.lists(st.floats(0.001, 1), min_size=2, max_size=4))
def test_what_is_learnt_from_is_nested_and_has_every_class_in_proportion(labels, seed, fractions):
    pool = np.arange(0, len(labels), 2)
    parts = [training_share(pool, labels, fraction=f, seed=seed) for f in sorted(fractions)]
    for small, large in pairwise(parts):
        assert set(small.tolist()) <= set(large.tolist())
    for fraction, part in zip(sorted(fractions), parts, strict=True):
        np.testing.assert_array_equal(part, np.unique(part))
        for group, size in zip(*np.unique(labels[pool], return_counts=True), strict=True):
            assert abs(np.sum(labels[part] == group) - max(1, fraction * size)) <= 0.5
    np.testing.assert_array_equal(training_share(pool, labels, fraction=1.0, seed=seed), pool)


def test_what_is_learnt_from_repeats_with_the_seed_and_is_apart_from_the_labelled_items():
    pool, labels = np.arange(2000), np.zeros(2000, np.int64)
    first, again, other = (training_share(pool, labels, fraction=0.1, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    labelled = label_fraction(pool, labels, fraction=0.1, draw=0)
    for one in (other, labelled):
        assert len(np.intersect1d(first, one)) < 50  # 20 expected by chance
    unlabelled = training_share(pool, None, fraction=0.1, seed=0)
    np.testing.assert_array_equal(unlabelled, first)  # one class is as good as none


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.5])
def test_an_impossible_share_to_learn_from_is_refused(fraction):
    with pytest.raises(DataError, match=r"data_fraction is .*expected a share"):
        training_share(np.arange(9), None, fraction=fraction, seed=0)
