import json

import numpy as np
import pytest

from trivium.data.datasets import fashion_mnist
from trivium.data.errors import DataError


@pytest.fixture(autouse=True)
def few(monkeypatch):
    assert fashion_mnist.NUM_TEST == 1000
    monkeypatch.setattr(fashion_mnist, "NUM_TEST", 20)


def package(folder, num=23):
    """A package as npm has it: an empty row at the seam of class 0, and one at its end."""
    clothes = folder / "package" / "src" / "clothes"
    clothes.mkdir(parents=True)
    for kind in range(10):
        rows = [[kind, i] + [0] * 782 for i in range(num)]
        if kind == 0:
            rows = [*rows[:20], [], *rows[20:], []]
        (clothes / f"{kind}.json").write_text(json.dumps({"data": rows}))
    return clothes


def test_the_first_pictures_of_a_class_are_test(tmp_path):
    package(tmp_path)
    parsed = fashion_mnist.parse(tmp_path, {}, tmp_path)
    images, labels = parsed.columns["image"], parsed.labels["label"]
    assert images.shape == (230, 1, 28, 28)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images[:, 0, 0, 0], labels)
    place = images[:, 0, 0, 1]
    assert (place[parsed.test] < 20).all()
    assert (place[parsed.train] >= 20).all()
    np.testing.assert_array_equal(np.bincount(labels[parsed.test]), [20] * 10)
    np.testing.assert_array_equal(np.bincount(labels[parsed.train]), [3] * 10)
    assert "inferred" in parsed.notes[0]


@pytest.mark.parametrize("text", ["{", "[]", '{"data": [3]}', '{"data": [[]]}'])
def test_an_unexpected_file_is_named(tmp_path, text):
    clothes = package(tmp_path)
    (clothes / "3.json").write_text(text)
    with pytest.raises(DataError, match=r"3\.json: .*expected"):
        fashion_mnist.parse(tmp_path, {}, tmp_path)


def test_the_wrong_archive_is_named(tmp_path):
    with pytest.raises(DataError, match=r"expected a file 0\.json"):
        fashion_mnist.parse(tmp_path, {}, tmp_path)
