"""Against loops over the items."""

import numpy as np
import pytest
from scipy import stats

from pair_store import PairStore
from trivium.evaluation.pair_search import directions, drawn, pair_items, search

NAMES = ("english", "german")


def searches(shop, **settings):
    return [search(shop, *pair, **settings) for pair in directions(shop)]


def store(**changes):
    """Items 2 to 9 are test. Picture 0 has three captions, of which two are equal."""
    facts = {
        "rows": {
            "image": [5, 5, 0, 0, 0, 1, 1, 2, -1, 3],
            "text": [8, 9, 0, 1, 2, 3, 0, 5, 6, -1],
            "audio": [0, 1, -1, 0, 1, 2, -1, 3, 3, 3],
        },
        "splits": {"train": [0, 1], "validation": [], "test": range(2, 10)},
        "texts": ["a cat", "ein Hund", "a cat", "a dog", "-", "ein Hund", "a pig", "-", "x", "y"],
        "strata": [0, 0, 0, 1, 0, 0, 0, 1, 0, 0],
        "names": NAMES,
        "groups": [7, 7, 40, 40, 40, 40, 40, 3, 3, 90],
    }
    return PairStore(**facts | changes)


def brute(shop, first, second, items):
    """Queries and candidates as (stratum, row), and the pairs of these that are right."""
    strata = shop.strata()

    def same(one, row):
        return shop.part("text").texts([row])[0] if one == "text" else row

    told = {(strata[i], shop.rows(first)[i], shop.rows(second)[i]) for i in items}
    queries = sorted({(s, a) for s, a, _ in told})
    candidates = sorted({(s, b) for s, _, b in told})
    right = {
        (q, c)
        for q in queries
        for c in candidates
        for s, a, b in told
        if s == q[0] == c[0]
        and same(first, a) == same(first, q[1])
        and same(second, b) == same(second, c[1])
    }
    return queries, candidates, right


@pytest.mark.parametrize(
    ("first", "second"),
    [("image", "text"), ("text", "image"), ("audio", "image"), ("text", "audio")],
)
def test_rows_and_what_is_right_are_those_of_the_items(first, second):
    shop = store()
    found = search(shop, first, second)
    items = [i for i in range(2, 10) if shop.rows(first)[i] >= 0 and shop.rows(second)[i] >= 0]
    queries, candidates, right = brute(shop, first, second, items)
    mine = list(zip(found.strata[0], found.queries, strict=True))
    others = list(zip(found.strata[1], found.candidates, strict=True))
    assert sorted(mine) == queries
    assert sorted(others) == candidates
    assert {(mine[q], others[c]) for q, c in zip(*found.right, strict=True)} == right
    assert found.task == f"{first} to {second}"


def test_equal_captions_are_right_and_others_are_not():
    found = search(store(strata=None, names=()), "image", "text")
    assert found.strata is None
    assert found.queries.tolist() == [2, 0, 1]  # by group, then by row
    assert found.candidates.tolist() == [5, 0, 1, 2, 3]
    table = np.zeros((3, 5), int)
    table[found.right] = 1
    assert table.tolist() == [[1, 0, 1, 0, 0], [1, 1, 1, 1, 0], [0, 1, 0, 1, 1]]


def test_groups_are_those_of_the_queries():
    found = search(store(), "image", "text")
    by_picture = dict(zip(found.queries, found.groups, strict=True))
    assert by_picture == {0: 1, 1: 1, 2: 0}
    assert search(store(groups=None), "image", "text").groups is None


def test_every_direction_that_has_items_is_searched():
    found = searches(store())
    assert [one.task for one in found] == [
        "image to text",
        "image to audio",
        "text to image",
        "text to audio",
        "audio to image",
        "audio to text",
    ]
    apart = store(
        rows={
            "image": [0, 1, 2, 3, 4, 5, -1, -1, -1, -1],
            "text": list(range(10)),
            "audio": [-1, -1, -1, -1, -1, -1, 0, 1, 2, 3],
        }
    )
    tasks = {one.task for one in searches(apart)}
    assert tasks == {"image to text", "text to image", "text to audio", "audio to text"}
    with pytest.raises(ValueError, match="no item of test has both image and audio"):
        search(apart, "image", "audio")


def many(num_items=200):
    rows = np.arange(num_items)
    return PairStore(
        {"image": rows, "text": rows[::-1]},
        {"train": [], "test": rows},
        texts=[f"text {row}" for row in rows],
        strata=np.arange(num_items) % 4 // 3,
        names=NAMES,
    )


def test_a_choice_of_items_is_the_same_for_both_directions():
    forth, back = searches(many(), most=30)
    assert np.bincount(forth.strata[0]).tolist() == [30, 30]
    assert set(forth.queries) == set(back.candidates)
    assert set(back.queries) == set(forth.candidates)
    assert len(forth.right[0]) == 60
    again = searches(many(), most=30)[0]
    np.testing.assert_array_equal(again.queries, forth.queries)
    other = searches(many(), most=30, seed=1)[0]
    assert set(other.queries) != set(forth.queries)


def test_a_stratum_with_fewer_items_has_all_of_them():
    found = searches(many(), most=60)[0]
    assert np.bincount(found.strata[0]).tolist() == [60, 50]


def test_items_of_a_pair_have_both():
    assert pair_items(store(), "image", "text", "test").tolist() == [2, 3, 4, 5, 6, 7]
    assert pair_items(store(), "image", "text", "train").tolist() == [0, 1]


def grouped(num_groups=40, **changes):
    """Seven drawings of each thing, each with a caption of its own; half of them German."""
    rows = np.arange(7 * num_groups)
    facts = {
        "rows": {"image": rows[::-1], "text": rows},
        "splits": {"train": [], "test": rows},
        "texts": [f"text {row}" for row in rows],
        "strata": rows % 2,
        "names": NAMES,
        "groups": 1000 - rows // 7,
    }
    return PairStore(**facts | changes)


def test_a_draw_takes_another_item_of_the_same_groups():
    shop = grouped()
    found = drawn(shop, "image", "text", most=30, draws=4)
    assert len(found) == 4
    for one in found:
        assert np.bincount(one.strata[0]).tolist() == [30, 30]
        np.testing.assert_array_equal(one.groups, found[0].groups)
        np.testing.assert_array_equal(one.strata[0], found[0].strata[0])
        items = 279 - one.queries
        np.testing.assert_array_equal(items % 2, one.strata[0])
        things = np.unique(1000 - items // 7, return_inverse=True)[1]
        np.testing.assert_array_equal(things, one.groups)
        np.testing.assert_array_equal(one.candidates, items)
    changed = [(one.queries != found[0].queries).mean() for one in found[1:]]
    assert all(0.4 < share < 0.95 for share in changed)  # of 3 or 4 items each
    again = drawn(shop, "text", "image", most=30, draws=4)
    for forth, back in zip(found, again, strict=True):
        np.testing.assert_array_equal(back.candidates, forth.queries)


def test_every_item_of_a_group_is_as_likely():
    shop = grouped(30, strata=None, names=())
    draws = 700
    chosen = np.concatenate(
        [one.candidates % 7 for one in drawn(shop, "image", "text", most=30, draws=draws)]
    )
    counts = np.bincount(chosen)
    assert stats.chisquare(counts).pvalue > 1e-3
    assert counts.sum() == 30 * draws


def test_without_a_choice_there_is_one_draw():
    assert len(drawn(many(), "image", "text", most=30)) == 1
    assert len(drawn(grouped(), "image", "text")) == 1
    assert len(drawn(grouped(groups=None), "image", "text", most=30)) == 1


def test_a_row_of_two_groups_is_refused():
    rows = {"image": np.arange(21) // 10, "text": np.arange(21)}
    shop = grouped(3, rows=rows, strata=None, names=())
    with pytest.raises(ValueError, match="groups of pairs name the same image: put what shares"):
        drawn(shop, "image", "text", most=3, draws=20)
