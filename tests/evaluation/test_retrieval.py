"""Against sorting, all orders of ties, scipy's hypergeometric distribution and torchmetrics."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom
from torchmetrics.functional.retrieval import retrieval_hit_rate

from trivium.evaluation.retrieval import (
    Ranks,
    chance,
    cosine,
    measures,
    modality_gap,
    rank,
)


def features(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def retrieval(queries, candidates, right, strata=None):
    return rank(cosine(queries, candidates), right, strata)


def rights(num_queries, num_candidates, seed=1):
    """One to three right candidates for each query."""
    generator = np.random.default_rng(seed)
    table = np.zeros((num_queries, num_candidates), bool)
    for row in table:
        row[generator.choice(num_candidates, generator.integers(1, 4), replace=False)] = True
    return table


def brute(similarity, right, allowed):
    """Place of the first right one, averaged over all orders of the candidates, rounded up."""
    columns = np.flatnonzero(allowed)
    places = []
    for order in permutations(columns):
        by_similarity = sorted(order, key=lambda column: -similarity[column])  # stable
        places.append(next(i for i, column in enumerate(by_similarity) if right[column]))
    return -(-sum(places) // len(places))


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=6),
    st.integers(1, 63),
    st.integers(0, 63),
)
def test_a_rank_is_the_mean_over_all_orders_of_ties(levels, right, strata):
    size = len(levels)
    right = np.array([right >> place & 1 for place in range(size)], bool)
    strata = np.array([strata >> place & 1 for place in range(size)])
    if not (right & (strata == 0)).any():
        return
    similarity = np.array([levels], float)
    found = rank(similarity, right[None], (np.zeros(1, np.int64), strata))
    assert found.ranks.tolist() == [brute(similarity[0], right, strata == 0)]
    assert found.num_candidates.tolist() == [(strata == 0).sum()]
    assert found.num_right.tolist() == [(right & (strata == 0)).sum()]


def test_ranks_without_ties_are_places_in_the_sorted_list():
    queries, candidates, right = features(600, 5), features(40, 5, seed=2), rights(600, 40)
    similarity = torch.nn.functional.cosine_similarity(
        torch.tensor(queries)[:, None], torch.tensor(candidates), dim=2
    ).numpy()
    found = retrieval(queries, candidates, right)
    for query in range(600):  # three chunks
        assert found.ranks[query] == right[query, np.argsort(-similarity[query])].argmax()


def test_pairs_and_similarities_say_the_same():
    queries, candidates, right = features(30, 4), features(20, 4, seed=2), rights(30, 20)
    pairs = tuple(side.astype(np.int64) for side in right.nonzero())
    expected = retrieval(queries, candidates, right)
    for found in (
        retrieval(queries, candidates, pairs),
        retrieval(queries * 3, candidates * np.arange(1, 21, dtype=np.float32)[:, None], right),
    ):
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_strata_are_searched_one_by_one():
    generator = np.random.default_rng(3)
    queries, candidates = features(60, 4), features(40, 4, seed=2)
    strata = np.arange(60) % 3, generator.permutation(np.arange(40) % 3)
    right = np.zeros((60, 40), bool)
    for query in range(60):
        right[query, generator.choice(np.flatnonzero(strata[1] == query % 3), 2)] = True
        right[query, np.flatnonzero(strata[1] != query % 3)] = True  # of no account
    found = retrieval(queries, candidates, right, strata)
    for one in range(3):
        mine, theirs = strata[0] == one, strata[1] == one
        alone = retrieval(queries[mine], candidates[theirs], right[mine][:, theirs])
        for some, expected in zip(found.of(mine), alone, strict=True):
            np.testing.assert_array_equal(some, expected)


def test_recall_is_torchmetrics():
    queries, candidates, right = features(50, 4), features(30, 4, seed=2), rights(50, 30)
    found = measures(retrieval(queries, candidates, right))
    similarity = torch.from_numpy(cosine(queries, candidates))
    for k in (1, 5, 10):
        hits = [
            retrieval_hit_rate(row, torch.from_numpy(wanted), top_k=k).item()
            for row, wanted in zip(similarity, right, strict=True)
        ]
        assert found[f"recall@{k}"] == pytest.approx(np.mean(hits))


def test_features_that_are_all_alike_find_nothing():
    alike = np.ones((40, 7), np.float32) * features(1, 7)
    found = measures(retrieval(alike, alike, np.eye(40, dtype=bool)))
    assert found["recall@1"] == found["recall@10"] == 0
    assert found["median_rank"] == 21  # 19.5 wrong ones before it, rounded up, and itself


def test_copies_of_a_candidate_tie_wherever_they_stand():
    candidates = np.tile(features(1, 64), (501, 1))
    candidates[::2] = features(251, 64, seed=3) * 0.01
    right = np.zeros((1, 501), bool)
    right[0, 1] = True
    found = retrieval(candidates[1:2], candidates, right)
    assert found.ranks.tolist() == [125]  # 249 other copies


def test_the_measures_of_known_ranks():
    ranks = Ranks(np.array([0, 4, 5, 20]), np.full(4, 30), np.ones(4, np.int64))
    found = measures(ranks)
    assert [found[f"recall@{k}"] for k in (1, 5, 10)] == [0.25, 0.5, 0.75]
    assert found["median_rank"] == 5.5
    assert [found[f"chance@{k}"] for k in (1, 5, 10)] == pytest.approx([1 / 30, 1 / 6, 1 / 3])
    assert found["num_candidates"] == 30
    assert list(found) == [
        "recall@1",
        "recall@5",
        "recall@10",
        "median_rank",
        "chance@1",
        "chance@5",
        "chance@10",
        "num_candidates",
    ]


@given(st.integers(1, 50), st.integers(1, 50), st.sampled_from([1, 5, 10]))
def test_chance_is_hypergeometric(num_candidates, num_right, k):
    num_right = min(num_right, num_candidates)
    ranks = Ranks(*(np.array([value]) for value in (0, num_candidates, num_right)))
    missed = hypergeom.pmf(0, num_candidates, num_right, min(k, num_candidates))
    assert chance(ranks, k)[0] == pytest.approx(1 - missed, abs=1e-12)


def test_random_features_are_at_chance():
    found = measures(retrieval(features(4000, 8), features(50, 8, seed=9), rights(4000, 50)))
    for k in (1, 5, 10):
        assert found[f"recall@{k}"] == pytest.approx(found[f"chance@{k}"], abs=0.03)


def test_the_modality_gap_is_between_the_mean_unit_vectors():
    first = np.array([[2.0, 0], [0, 5]])
    second = np.array([[-1.0, 0], [0, -3]])
    assert modality_gap(first, second) == pytest.approx(np.sqrt(2))
    assert modality_gap(first, first * 7) == pytest.approx(0)


@pytest.mark.parametrize("side", [0, 1])
def test_broken_features_are_an_error(side):
    both = [features(5, 3), features(5, 3, seed=2)]
    both[side][2, 1] = np.nan
    with pytest.raises(ValueError, match="finite, but 1"):
        retrieval(*both, np.eye(5, dtype=bool))
    with pytest.raises(ValueError, match="finite"):
        rank(both[side] / both[side].max(), np.ones((5, 3), bool))


def test_a_query_without_a_right_candidate_is_an_error():
    right, strata = np.eye(4, dtype=bool), (np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]))
    with pytest.raises(ValueError, match="query 3 "):
        retrieval(features(4, 3), features(4, 3), right, strata)
