import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import colormaps
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from trivium.data.spectrogram import SILENCE
from trivium.training.samples import (
    SampleWriter,
    draw_map,
    draw_rows,
    draw_spectrograms,
    members,
    neighbours,
    num_spectrograms,
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


def test_spectrograms_have_time_to_the_right_and_low_bands_at_the_bottom():
    silent = np.full((1, 6, 5), SILENCE)
    low, late = silent.copy(), silent.copy()
    low[:, :, 0], late[:, 4, :] = 2.0, 2.0
    dark, bright = (np.round(255 * np.array(colormaps["magma"](x)[:3])) for x in (0.0, 1.0))
    cells = draw_spectrograms({"low": low, "late": late})
    scale = cells.shape[0] // 14
    cells = cells[scale // 2 :: scale, scale // 2 :: scale]
    first, second = cells[1:6, 1:7], cells[8:13, 1:7]
    assert (first[4] == bright).all()
    assert (first[:4] == dark).all()
    assert (second[:, 4] == bright).all()
    assert (np.delete(second, 4, axis=1) == dark).all()


def test_rows_of_spectrograms_share_the_scale_of_the_first_and_are_white_behind_their_end():
    first = np.linspace(SILENCE, 4.0, 8 * 3).reshape(1, 8, 3)
    half = np.full((1, 5, 3), (SILENCE + 4.0) / 2)
    louder = np.full((1, 8, 3), 9.0)
    cells = draw_spectrograms({"first": first, "half": half, "louder": louder})
    scale = cells.shape[0] // 15
    cells = cells[scale // 2 :: scale, scale // 2 :: scale]
    middle, top = (np.round(255 * np.array(colormaps["magma"](x)[:3])) for x in (0.5, 1.0))
    assert np.abs(cells[6:9, 1:6] - middle).max() <= 3
    assert (cells[6:9, 6:9] == 255).all()
    assert (cells[11:14, 1:9] == top).all()
    assert cells.shape[1] == 10


def test_as_many_spectrograms_stand_side_by_side_as_fit():
    assert [num_spectrograms(frames) for frames in (16, 98, 1000)] == [12, 8, 4]
    wide = draw_spectrograms({"rows": np.full((4, 1000, 8), SILENCE)})
    assert wide.shape == (10, 4 * 1002, 3)
    assert draw_spectrograms({"rows": np.full((8, 98, 8), SILENCE)}).shape[1] == 800


def test_tiles_are_what_the_grid_shows(tmp_path):
    luck = np.random.default_rng(0)
    rows = {"grey": luck.random((3, 1, 5, 7)), "coloured": luck.random((3, 3, 5, 7)) * 1.5}
    SampleWriter(tmp_path, 2, None).tiles("rows", rows)
    grid = draw_rows(rows, scale=1)
    with np.load(tmp_path / "rows-step000002.npz") as tiles:
        for row, name in enumerate(rows):
            for column, tile in enumerate(tiles[name]):
                shown = grid[row * 7 + 1 : row * 7 + 6, column * 9 + 1 : column * 9 + 8]
                assert (shown == tile).all()
