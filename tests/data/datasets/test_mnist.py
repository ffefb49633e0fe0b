import gzip
import struct

import numpy as np
import pytest

from trivium.data.datasets import mnist
from trivium.data.datasets.mnist import read_idx
from trivium.data.errors import DataError


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("packed", [False, True])
def test_the_official_files_are_read(tmp_path, packed):
    rng = np.random.default_rng(0)
    (tmp_path / "package" / "data").mkdir(parents=True)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (30, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": rng.integers(0, 10, 30, dtype=np.uint8),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (7, 28, 28), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": rng.integers(0, 10, 7, dtype=np.uint8),
    }
    for name, array in arrays.items():
        content = gzip.compress(idx(array)) if packed else idx(array)
        (tmp_path / "package" / "data" / (name + ".gz" * packed)).write_bytes(content)
    parsed = mnist.parse(tmp_path, {}, tmp_path)
    images = parsed.columns["image"]
    assert images.shape == (37, 1, 28, 28)
    np.testing.assert_array_equal(images[parsed.test, 0], arrays["t10k-images-idx3-ubyte"])
    np.testing.assert_array_equal(images[parsed.train, 0], arrays["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(
        parsed.labels["label"][parsed.test], arrays["t10k-labels-idx1-ubyte"]
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0\x08", b"\0\0\x0d\x01\0\0\0\x01\0", idx(np.zeros(9, np.uint8))[:-1], b"x" * 99],
)
def test_what_is_no_idx_file_is_named(tmp_path, content):
    (tmp_path / "labels").write_bytes(content)
    with pytest.raises(DataError, match="labels"):
        read_idx(tmp_path / "labels", num_axes=1)
