import hashlib
import warnings

import pytest

from trivium.data.cache import content_sum, warn_of_sum
from trivium.data.errors import ChecksumWarning


def test_a_files_sum_is_hashlibs(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert content_sum(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()


def test_a_folders_sum_follows_names_and_contents(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    first = content_sum(tmp_path)
    assert content_sum(tmp_path) == first
    (tmp_path / "a").write_bytes(b"2")
    second = content_sum(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({first, second, content_sum(tmp_path)}) == 3


def test_unknown_and_other_sums_warn_with_the_sums():
    with pytest.warns(ChecksumWarning, match=r"no sha256 is recorded.*aa"):
        warn_of_sum("x", "aa", None)
    with pytest.warns(ChecksumWarning, match="aa is not the recorded bb"):
        warn_of_sum("x", "aa", "bb")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_sum("x", "aa", "aa")
