"""Sheets as pretraining draws them, cut again into what they were drawn from."""

import numpy as np
import pytest

from trivium.report.media import GAP, WIDE_GAP, cut, laid_out, upto_change
from trivium.training.samples import draw_rows, draw_spectrograms


@pytest.mark.parametrize(("num_rows", "num_columns", "size"), [(2, 12, 28), (6, 12, 32), (3, 5, 9)])
def test_images_come_back(num_rows, num_columns, size):
    luck = np.random.default_rng(0)
    rows = {
        str(row): luck.integers(0, 255, (num_columns, 3, size, size)) / 255
        for row in range(num_rows)
    }
    (samples,) = cut([draw_rows(rows)])
    assert samples.shape == (num_rows, num_columns, 2 * size, 2 * size, 3)
    drawn = (np.stack(list(rows.values())) * 255).round().astype(np.uint8).swapaxes(2, 4)
    np.testing.assert_array_equal(samples[:, :, ::2, ::2], drawn.swapaxes(2, 3))


def test_white_images_do_not_hide_the_grid_that_others_show():
    luck = np.random.default_rng(0)
    blank = {name: np.ones((4, 1, 16, 16)) for name in ("input", "reconstruction")}
    drawn = {name: 0.9 * luck.random((4, 1, 16, 16)) for name in blank}
    samples = cut([draw_rows(blank), draw_rows(drawn)])
    assert [one.shape[:2] for one in samples] == [(2, 4), (2, 4)]


def test_spectrograms_come_back():
    luck = np.random.default_rng(0)
    rows = {name: luck.normal(size=(6, 60, 32)) for name in ("input", "reconstruction")}
    (samples,) = cut([draw_spectrograms(rows)])
    assert samples.shape[:2] == (2, 6)


def test_rows_upto_the_first_that_changes():
    first, last = np.zeros((4, 3)), np.zeros((4, 3))
    assert upto_change(first, last) == 4
    last[2:] = 1
    assert upto_change(first, last) == 3
    assert upto_change([["a"], ["b"], ["c"]], [["a"], ["d"], ["e"]]) == 2


def test_samples_are_laid_out_about_as_wide_as_high_in_their_order():
    samples = np.zeros((2, 12, 10, 10, 3), np.uint8)
    samples[0, :, :, :, 0] = np.arange(12)[:, None, None]
    samples[1, :, :, :, 0] = 100 + np.arange(12)[:, None, None]
    image = laid_out(samples)
    line = 2 * 10 + GAP + WIDE_GAP
    assert image.size == (6 * (10 + GAP) - GAP, 2 * line - WIDE_GAP)
    pixels = np.asarray(image)
    found = pixels[5 :: 10 + GAP, 5 :: 10 + GAP, 0]
    assert found[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert found[1].tolist() == [100, 101, 102, 103, 104, 105]
    assert pixels[line + 5, 5 :: 10 + GAP, 0].tolist() == [6, 7, 8, 9, 10, 11]
    assert pixels[12, 0, 3] == 0


def test_what_would_not_fill_a_line_is_left_out():
    samples = np.full((2, 7, 10, 16, 3), 9, np.uint8)
    image = laid_out(samples)
    assert image.size == (3 * (16 + GAP) - GAP, 2 * (2 * 10 + GAP + WIDE_GAP) - WIDE_GAP)
