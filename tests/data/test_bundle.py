"""Bundles of fake packages: a stand-in for the npm client packs what the test placed."""

import hashlib
import io
import os
import shutil
import tarfile

import pytest

from trivium.data.errors import ArchiveError, ChecksumWarning, ConfigError, DataError
from trivium.data.fetch import fetch
from trivium.data.sources import Bundle, build_sources


def packed(path, name, content):
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """The registry: a folder of archives `NAME@RELEASE.tgz`; `asked` lists what was asked for."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    tool = tmp_path / "bin" / "npm"
    tool.parent.mkdir()
    name = "$(echo $2 | tr / -)"
    tool.write_text(
        f"#!/bin/sh\necho $2 >> {tmp_path}/asked\n"
        f"test -f {shelf}/{name}.tgz || {{ echo error: no $2 >&2; exit 1; }}\n"
        f"cp {shelf}/{name}.tgz packed.tgz\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    return shelf


def part(shelf, package, content, release="1.0.0"):
    path = shelf / f"{package.replace('/', '-')}@{release}.tgz"
    archive = packed(path, "package/a.txt", content)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return {"kind": "npm", "package": package, "release": release, "sha256": digest}


def bundle(*parts):
    return {"kind": "bundle", "parts": list(parts)}


def scratch(tmp_path):
    folder = tmp_path / f"scratch{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    return folder


def test_each_part_has_its_own_folder(tmp_path, shelf, cache):
    parts = part(shelf, "@x/one", b"1"), part(shelf, "two", b"2", "2.5.0")
    first = fetch("tiny", [bundle(*parts)], scratch(tmp_path))
    assert sorted(path.name for path in first.folder.iterdir()) == ["two", "x-one"]
    assert (first.folder / "x-one" / "package" / "a.txt").read_bytes() == b"1"
    assert (first.folder / "two" / "package" / "a.txt").read_bytes() == b"2"
    assert first.source == "bundle of npm @x/one@1.0.0, npm two@2.5.0"
    assert first.version == "1.0.0, 2.5.0"
    assert sorted(path.name for path in (cache / "npm").iterdir()) == [
        "two-2.5.0.tgz",
        "x-one-1.0.0.tgz",
    ]
    again = fetch("tiny", [bundle(*parts)], scratch(tmp_path))
    assert first[1:] == again[1:]
    assert (tmp_path / "asked").read_text().split() == ["@x/one@1.0.0", "two@2.5.0"]


def test_the_sum_depends_on_every_part(tmp_path, shelf):
    one, two = part(shelf, "one", b"1"), part(shelf, "two", b"2")
    sums = {fetch("tiny", [bundle(one, two)], scratch(tmp_path)).sha256}
    sums.add(fetch("tiny", [bundle(two)], scratch(tmp_path)).sha256)
    other = part(shelf, "two", b"3", "1.0.1")
    sums.add(fetch("tiny", [bundle(one, other)], scratch(tmp_path)).sha256)
    assert len(sums) == 3


def test_one_missing_part_fails_the_whole_and_is_named(tmp_path, shelf):
    entry = bundle(part(shelf, "one", b"1"), {"kind": "npm", "package": "two", "release": "9"})
    place = tmp_path / "here"
    with pytest.raises(DataError) as caught:
        fetch("tiny", [{"kind": "folder", "path": str(place)}, entry], scratch(tmp_path))
    message = str(caught.value)
    assert "part two: cache of npm two@9: not in" in message
    assert "npm two@9: npm: error: no two@9" in message
    assert message.endswith(
        f"Unpack every package by hand into its own folder in {place}: one, two"
    )
    (place / "one").mkdir(parents=True)
    (place / "two").mkdir()
    taken = fetch("tiny", [{"kind": "folder", "path": str(place)}, entry], scratch(tmp_path))
    assert taken.folder == place


def test_sums_and_corruption_are_told_of_the_part(tmp_path, shelf, cache):
    one, two = part(shelf, "one", b"1"), part(shelf, "two", b"2")
    with pytest.warns(ChecksumWarning, match=r"npm two@1\.0\.0: .* is not the recorded 00"):
        fetch("tiny", [bundle(one, two | {"sha256": "00"})], scratch(tmp_path))
    (cache / "npm" / "two-1.0.0.tgz").write_bytes(b"broken")
    healed = fetch("tiny", [bundle(one, two)], scratch(tmp_path))
    assert (healed.folder / "two" / "package" / "a.txt").read_bytes() == b"2"
    shutil.rmtree(cache / "npm")
    (shelf / "two@1.0.0.tgz").write_bytes(b"broken")
    with pytest.raises(ArchiveError, match=r"npm two@1\.0\.0: .*corrupt"):
        fetch("tiny", [bundle(one, two)], scratch(tmp_path))


def test_a_part_cannot_leave_its_folder(tmp_path, shelf):
    entry = part(shelf, "one", b"1")
    packed(shelf / "one@1.0.0.tgz", "../two/a.txt", b"evil")
    with pytest.raises(ArchiveError, match=r"npm one@1\.0\.0: .*(leave|outside)"):
        fetch("tiny", [bundle(entry | {"sha256": None})], scratch(tmp_path))


def test_parts_may_come_from_debian_and_pip():
    parts = {"kind": "debian", "package": "a"}, {"kind": "pip", "package": "b", "release": "1"}
    (source,) = build_sources("tiny", [bundle(*parts)])
    assert isinstance(source, Bundle)
    assert source.origin == "bundle of debian a, pip b==1"
    assert [*source.parts] == ["a", "b"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, "source bundle: parts is None; expected a list"),
        ({"parts": "npm"}, "parts is 'npm'"),
        ({"parts": []}, r"parts is \[\]"),
        ({"parts": [{"kind": "url", "package": "x"}]}, "part x: kind is 'url'; choose of npm"),
        ({"parts": [{"kind": "npm", "package": "x"}]}, "part x: .*release"),
        ({"parts": [{"kind": "debian", "package": "x"}] * 2}, "part x is there twice"),
        ({"parts": [], "odd": 1}, "source bundle: .*odd"),
    ],
)
def test_a_wrong_entry_is_one_clear_error(entry, message):
    with pytest.raises(ConfigError, match=f"tiny: .*{message}"):
        build_sources("tiny", [{"kind": "bundle"} | entry])
