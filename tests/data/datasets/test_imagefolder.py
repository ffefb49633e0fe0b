import numpy as np
import pytest
from PIL import Image

from trivium.data.datasets import files
from trivium.data.errors import ConfigError, DataError

CONFIG = {"name": "mine", "modality": "image", "spec": {"shape": [3, 8, 8]}}


def picture(path, colour, size=(12, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def classes(folder, num=10):
    for number in range(num):
        picture(folder / "red" / f"{number:02}.png", (200, number, 0))
        picture(folder / "blue" / "deep" / f"{number:02}.png", (0, number, 200))


def parse(folder, tmp_path, **options):
    return files.parse(folder, CONFIG | options, tmp_path)


def test_class_folders_become_labels_and_a_fifth_test(tmp_path):
    classes(tmp_path / "data")
    parsed = parse(tmp_path / "data", tmp_path)
    assert parsed.tasks == {"label": ("blue", "red")}
    np.testing.assert_array_equal(
        parsed.columns["image"][:, 0, 0, 0] > 100, parsed.labels["label"] == 1
    )
    np.testing.assert_array_equal(np.bincount(parsed.labels["label"][parsed.test]), [2, 2])
    assert (len(parsed.train), len(np.intersect1d(parsed.train, parsed.test))) == (16, 0)


def test_given_splits_are_kept(tmp_path):
    classes(tmp_path / "data" / "train", 4)
    classes(tmp_path / "data" / "test", 3)
    parsed = parse(tmp_path / "data", tmp_path)
    assert (len(parsed.train), len(parsed.test)) == (8, 6)
    np.testing.assert_array_equal(np.bincount(parsed.labels["label"][parsed.test]), [3, 3])


def test_a_folder_around_everything_is_stepped_into(tmp_path):
    classes(tmp_path / "data" / "flowers-1.0")
    assert parse(tmp_path / "data", tmp_path).tasks == {"label": ("blue", "red")}


def test_pictures_without_class_folders_have_no_labels(tmp_path):
    for number in range(5):
        picture(tmp_path / "data" / f"{number}.png", (number, 0, 0))
    parsed = parse(tmp_path / "data", tmp_path)
    assert (parsed.labels, parsed.tasks, len(parsed.test)) == ({}, {}, 1)


def test_shape_asks_for_grey_or_colour_and_size(tmp_path):
    classes(tmp_path / "data", 2)
    parsed = parse(tmp_path / "data", tmp_path, spec={"shape": [1, 6, 4]})
    assert parsed.columns["image"].shape == (4, 1, 6, 4)


def test_a_broken_picture_is_an_error_that_names_it_or_is_left_out(tmp_path):
    classes(tmp_path / "data")
    (tmp_path / "data" / "red" / "05.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"red/05\.png is no readable picture.*on_error: skip"):
        parse(tmp_path / "data", tmp_path)
    with pytest.warns(UserWarning, match=r"1 pictures left out; the first: .*05\.png"):
        parsed = parse(tmp_path / "data", tmp_path, on_error="skip")
    assert len(parsed.train) + len(parsed.test) == 19
    assert 15 not in np.concatenate([parsed.train, parsed.test])


def test_wrong_layouts_are_one_clear_error(tmp_path):
    with pytest.raises(DataError, match="no pictures in"):
        parse(tmp_path, tmp_path)
    classes(tmp_path / "a")
    picture(tmp_path / "a" / "stray.png", "red")
    with pytest.raises(DataError, match=r"stray\.png lies outside"):
        parse(tmp_path / "a", tmp_path)
    classes(tmp_path / "b" / "train")
    picture(tmp_path / "b" / "keep.png", "red")
    with pytest.raises(DataError, match="no folder test"):
        parse(tmp_path / "b", tmp_path)
    picture(tmp_path / "b" / "test" / "red" / "x.png", "red")
    with pytest.raises(DataError, match="differ in classes: blue"):
        parse(tmp_path / "b", tmp_path)
    with pytest.raises(ConfigError, match="on_error is 'ignore'; choose of raise, skip"):
        parse(tmp_path / "b" / "train", tmp_path, on_error="ignore")
