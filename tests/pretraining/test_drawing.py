import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from trivium.pretraining.drawing import (
    draw_map,
    draw_rows,
    members,
    neighbours,
    project,
    spread,
)


@given(st.integers(1, 5000), st.integers(1, 600))
def test_spread_covers_both_ends_without_repeats(num_items, num_chosen):
    chosen = spread(num_items, num_chosen)
    assert len(set(chosen)) == len(chosen) <= num_chosen
    assert chosen[0] == 0
    assert chosen[-1] == (num_items - 1 if num_chosen > 1 else 0)


def test_projection_is_scikit_learns_pca_up_to_sign():
    features = np.random.default_rng(0).normal(size=(60, 5)) * [5, 3, 1, 1, 1]
    ours, truth = project(features), PCA(2).fit_transform(features)
    np.testing.assert_allclose(np.abs(ours), np.abs(truth), rtol=1e-4, atol=1e-4)


def test_rows_lie_under_one_another_at_their_scale():
    rows = {"input": np.zeros((3, 1, 8, 8)), "output": np.ones((3, 1, 8, 8))}
    sheet = draw_rows(rows, scale=2)
    assert sheet.shape == (2 * 2 * 10, 2 * 3 * 10, 3)
    assert sheet[10, 10].tolist() == [0, 0, 0]
    assert sheet[30, 10].tolist() == [255, 255, 255]


def test_a_map_shows_its_classes_in_colours():
    points = np.random.default_rng(0).normal(size=(50, 2))
    plain = draw_map(points, None, ())
    coloured = draw_map(points, np.arange(50) % 2, ("a", "b"))
    assert len(np.unique(coloured.reshape(-1, 3), axis=0)) > len(
        np.unique(plain.reshape(-1, 3), axis=0)
    )


def test_neighbours_are_scikit_learns_by_cosine_below_the_queries():
    features = np.random.default_rng(1).normal(size=(50, 7))
    queries = np.array([3, 20, 49])
    found = neighbours(features, queries, num=4)
    index = NearestNeighbors(n_neighbors=5, metric="cosine").fit(features)
    assert np.array_equal(found.T, index.kneighbors(features[queries], return_distance=False))


def test_members_are_rows_of_the_largest_groups_that_fill_a_row():
    groups = np.array([2, 0, 1, 0, 2, 0, 0, 1, 2, 5])
    assert members(groups, num_groups=2, num_members=3).tolist() == [[1, 3, 5], [0, 4, 8]]
    assert members(groups, num_groups=9, num_members=2).shape == (3, 2)
    assert members(groups, num_groups=9, num_members=9).shape == (0, 9)
