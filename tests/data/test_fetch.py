import hashlib
import os

import pytest

from trivium.data.errors import ArchiveError, ChecksumWarning, ConfigError, DataError
from trivium.data.fetch import fetch

from .test_unpack import tar

NPM = {"kind": "npm", "package": "@x/tiny", "release": "1.0.0"}


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """A stand-in for the npm client that packs one file, and counts how often it is asked."""
    archive = tar(tmp_path / "packed.tgz", [("package/a.txt", b"hello")])
    tool = tmp_path / "bin" / "npm"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\necho $2 >> {tmp_path}/asked\ncp {archive} x-tiny-1.0.0.tgz\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    return archive


def sum_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def scratch(tmp_path):
    folder = tmp_path / f"scratch{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    return folder


def test_the_first_answer_is_unpacked_and_cached(tmp_path, npm, cache):
    known = NPM | {"sha256": sum_of(npm)}
    sources = [{"kind": "cache"}, {"kind": "folder", "path": str(tmp_path / "none")}, known]
    first, second = (fetch("tiny", sources, scratch(tmp_path)) for _ in range(2))
    for fetched in (first, second):
        assert (fetched.folder / "package" / "a.txt").read_bytes() == b"hello"
    assert first[1:] == second[1:] == ("npm @x/tiny@1.0.0", "1.0.0", sum_of(npm))
    assert (tmp_path / "asked").read_text() == "@x/tiny@1.0.0\n"
    assert (cache / "npm" / "x-tiny-1.0.0.tgz").is_file()


def test_an_unknown_sum_warns_and_so_does_another(tmp_path, npm):
    with pytest.warns(ChecksumWarning, match=f"no sha256.*{sum_of(npm)}"):
        fetch("tiny", [NPM], scratch(tmp_path))
    with pytest.warns(ChecksumWarning, match=f"{sum_of(npm)} is not the recorded 00"):
        fetch("tiny", [NPM | {"sha256": "00"}], scratch(tmp_path))


def test_a_corrupt_archive_is_an_error_with_both_sums(tmp_path, npm):
    npm.write_bytes(npm.read_bytes()[:40])
    with pytest.raises(ArchiveError, match=f"corrupt.*{sum_of(npm)}, recorded is 00"):
        fetch("tiny", [NPM | {"sha256": "00"}], scratch(tmp_path))


def test_a_corrupt_cache_is_fetched_again(tmp_path, npm, cache):
    known = NPM | {"sha256": sum_of(npm)}
    fetch("tiny", [known], scratch(tmp_path))
    (cache / "npm" / "x-tiny-1.0.0.tgz").write_bytes(b"broken")
    fetched = fetch("tiny", [{"kind": "cache"}, known], scratch(tmp_path))
    assert (fetched.folder / "package" / "a.txt").read_bytes() == b"hello"
    assert sum_of(cache / "npm" / "x-tiny-1.0.0.tgz") == sum_of(npm)


def test_a_cache_that_cannot_be_written_does_not_matter(tmp_path, npm, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("TRIVIUM_CACHE", str(tmp_path / "file"))
    fetched = fetch("tiny", [NPM | {"sha256": sum_of(npm)}], scratch(tmp_path))
    assert (fetched.folder / "package" / "a.txt").read_bytes() == b"hello"


def test_a_placed_archive_or_folder_is_taken(tmp_path):
    place = tmp_path / "downloads"
    source = {"kind": "folder", "path": str(place)}
    place.mkdir()
    tar(place / "x.tgz", [("f", b"packed")])
    fetched = fetch("tiny", [source], scratch(tmp_path))
    assert (fetched.folder / "f").read_bytes() == b"packed"
    (place / "g").write_bytes(b"loose")
    assert fetch("tiny", [source], scratch(tmp_path)).folder == place


def test_no_answer_lists_what_was_tried_and_where_to_place(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    sources = [
        {"kind": "cache"},
        {"kind": "folder", "path": str(tmp_path / "here")},
        NPM,
        {"kind": "debian", "package": "tiny-data"},
        {"kind": "url", "address": "ftp://somewhere/x.zip"},
    ]
    with pytest.raises(DataError) as caught:
        fetch("tiny", sources, scratch(tmp_path))
    lines = str(caught.value).splitlines()
    assert lines[0] == "tiny cannot be had from any of its sources:"
    assert f"  folder {tmp_path / 'here'}: nothing is there" in lines
    assert "  npm @x/tiny@1.0.0: npm is not installed" in lines
    assert "  debian tiny-data: apt-get is not installed" in lines
    assert "  url ftp://somewhere/x.zip: only http and https addresses are fetched" in lines
    assert lines[-1] == f"Place the archive by hand in: {tmp_path / 'here'}"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"kind": "ftp"}, "unknown kind of source 'ftp'; kinds are: cache, folder, npm"),
        ({"kind": "npm", "package": "x"}, "source npm: .*release"),
        ({"kind": "npm", "package": "x", "release": "1", "odd": 1}, "source npm: .*odd"),
    ],
)
def test_a_wrong_entry_is_one_clear_error(tmp_path, source, message):
    with pytest.raises(ConfigError, match=message):
        fetch("tiny", [source], tmp_path)
