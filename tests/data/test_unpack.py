import io
import shutil
import subprocess
import tarfile
import zipfile
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trivium.data.errors import ArchiveError
from trivium.data.unpack import Bounds, unpack


def tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


def zipped(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


def deb(path, data):
    with path.open("wb") as stream:
        stream.write(b"!<arch>\n")
        for name, content in ((b"debian-binary", b"2.0\n"), (b"control.tar.xz", b"odd"), data):
            stream.write(name.ljust(16) + b"0".ljust(32) + str(len(content)).encode().ljust(10))
            stream.write(b"`\n" + content + b"\n" * (len(content) % 2))
    return path


def everything(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


FILES = [("a/b.txt", b"one"), ("c.bin", bytes(range(256)) * 99)]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_tars_unfold(tmp_path, mode):
    unpack(tar(tmp_path / "x", FILES, mode), tmp_path / "out")
    assert everything(tmp_path / "out") == dict(FILES)


def test_zips_unfold(tmp_path):
    unpack(zipped(tmp_path / "x", [*FILES, ("empty/", b"")]), tmp_path / "out")
    assert everything(tmp_path / "out") == dict(FILES)
    assert (tmp_path / "out" / "empty").is_dir()


@pytest.mark.parametrize("mode", ["w:xz", "w:gz", "w"])
def test_debian_packages_unfold(tmp_path, mode):
    inner = tar(tmp_path / "data", [("./usr/share/x", b"yes")], mode).read_bytes()
    unpack(deb(tmp_path / "x.deb", (b"data.tar", inner)), tmp_path / "out")
    assert everything(tmp_path / "out") == {"usr/share/x": b"yes"}


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
def test_a_real_debian_package_unfolds(tmp_path):
    (tmp_path / "tree" / "DEBIAN").mkdir(parents=True)
    control = "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"
    (tmp_path / "tree" / "DEBIAN" / "control").write_text(control)
    (tmp_path / "tree" / "usr").mkdir()
    (tmp_path / "tree" / "usr" / "f").write_bytes(b"real")
    for kind in ("xz", "zstd"):
        built = tmp_path / f"{kind}.deb"
        build = ["dpkg-deb", f"-Z{kind}", "--root-owner-group", "-b", tmp_path / "tree", built]
        if subprocess.run(build, capture_output=True, check=False).returncode:
            pytest.skip(f"this dpkg-deb knows no {kind}")
        unpack(built, tmp_path / kind)
        assert everything(tmp_path / kind) == {"usr/f": b"real"}


@pytest.mark.parametrize("name", ["../x", "a/../../x", "a/..", "..", "..\\x", "C:/x"])
@pytest.mark.parametrize("pack", [tar, zipped])
def test_a_name_that_leaves_the_target_is_refused(tmp_path, pack, name):
    with pytest.raises(ArchiveError):
        unpack(pack(tmp_path / "x", [(name, b"bad")]), tmp_path / "deep" / "out")
    assert everything(tmp_path / "deep") == {}


name = st.text(st.sampled_from("/.\\ab:\x01é "), min_size=1, max_size=12)
names = st.lists(name, min_size=1, max_size=4, unique=True)


@given(names, st.sampled_from([tar, zipped]))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_names_nothing_is_written_outside(tmp_path_factory, names, pack):
    folder = tmp_path_factory.mktemp("names")
    archive = pack(folder / "x", [(name, b"content") for name in names])
    with suppress(ArchiveError):
        unpack(archive, folder / "a" / "b" / "out")
    outside = {k for k in everything(folder) if not k.startswith("a/b/out/")}
    assert outside == {"x"}
    assert not any(p.is_symlink() for p in folder.rglob("*"))


@pytest.mark.parametrize("goal", ["/etc", "../..", "inside"])
def test_links_are_never_made_nor_written_through(tmp_path, goal):
    archive = tar(tmp_path / "x", [("link", goal), ("link/file", b"caught")])
    unpack(archive, tmp_path / "a" / "out")
    assert everything(tmp_path) == {"x": archive.read_bytes(), "a/out/link/file": b"caught"}
    assert not (tmp_path / "a" / "out" / "link").is_symlink()


def test_a_zip_link_is_left_out(tmp_path):
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc")
    unpack(tmp_path / "x", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("pack", [tar, zipped])
def test_bounds_hold(tmp_path, pack):
    archive = pack(tmp_path / "x", [(f"{i}", bytes(1000)) for i in range(10)])
    unpack(archive, tmp_path / "fits", Bounds(10_000, 10))
    with pytest.raises(ArchiveError, match="more than 9999 bytes"):
        unpack(archive, tmp_path / "bytes", Bounds(9_999, 10))
    with pytest.raises(ArchiveError, match="more than 9 members"):
        unpack(archive, tmp_path / "members", Bounds(10_000, 9))


def test_a_bomb_stops_before_it_grows(tmp_path):
    with zipfile.ZipFile(tmp_path / "x", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10_000_000))
    with pytest.raises(ArchiveError, match="more than"):
        unpack(tmp_path / "x", tmp_path / "out", Bounds(1_000_000, 10))
    assert everything(tmp_path / "out") == {}


@pytest.mark.parametrize("pack", [tar, zipped])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_archive_is_corrupt(tmp_path, pack, share):
    archive = pack(tmp_path / "x", FILES)
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ArchiveError, match="corrupt"):
        unpack(archive, tmp_path / "out")


def test_flipped_bytes_are_corrupt(tmp_path):
    archive = zipped(tmp_path / "x", FILES)
    content = bytearray(archive.read_bytes())
    content[200] ^= 255
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match="corrupt"):
        unpack(archive, tmp_path / "out")
