"""Unpacking archives from outside: nothing leaves the target, nothing grows without bound."""

import lzma
import shutil
import subprocess
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, Protocol, runtime_checkable

from trivium.data.errors import ArchiveError

CHUNK = 1 << 20
BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)


class Bounds(NamedTuple):
    """What an archive may unfold to."""

    max_bytes: int = 20 << 30
    max_members: int = 2_000_000


def unpack(archive: Path, target: Path, bounds: Bounds = Bounds()) -> None:  # noqa: B008
    """Unpack a tar (plain, gz, xz, bz2), zip, wheel or .deb into the folder `target`.

    Only folders and regular files are created, with default permissions. Links and devices
    are left out, so that no member can be written through one.

    Raises:
        ArchiveError: the archive is corrupt or of no known kind, a member's name leaves the
            target, or the bounds are passed.
    """
    target.mkdir(parents=True, exist_ok=True)
    writer = _Writer(archive, target, bounds)
    try:
        if zipfile.is_zipfile(archive):
            _unzip(archive, writer)
        elif _is_deb(archive):
            _undeb(archive, writer)
        else:
            _untar(archive, writer)
    except BROKEN as error:
        raise ArchiveError(
            f"{archive} is corrupt or no archive ({type(error).__name__}: {error}); "
            "remove it and fetch it again"
        ) from error


@runtime_checkable
class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Writer:
    """Places members below a target and keeps count of what they cost."""

    def __init__(self, archive: Path, target: Path, bounds: Bounds) -> None:
        self.archive = archive
        self.target = target
        self.bounds = bounds
        self.num_bytes = 0
        self.num_members = 0

    def count(self) -> None:
        self.num_members += 1
        if self.num_members > self.bounds.max_members:
            raise ArchiveError(f"{self.archive} has more than {self.bounds.max_members} members")

    def place(self, name: str) -> Path:
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts or parts[0] == "/" or ".." in parts or ":" in parts[0] or "\0" in name:
            raise ArchiveError(f"{self.archive}: member {name!r} would leave its folder: refused")
        return self.target.joinpath(*parts)

    def folder(self, name: str) -> None:
        if name.strip("./"):
            self.place(name).mkdir(parents=True, exist_ok=True)

    def file(self, name: str, stream: _Readable, size: int) -> None:
        path = self.place(name)
        if self.num_bytes + size > self.bounds.max_bytes:
            raise ArchiveError(f"{self.archive} unpacks to more than {self.bounds.max_bytes} bytes")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as target:
            _copy(name, stream, target, size)
        self.num_bytes += size


def _copy(name: str, stream: _Readable, target: IO[bytes], size: int) -> None:
    left = size
    while left and (chunk := stream.read(min(left, CHUNK))):
        target.write(chunk)
        left -= len(chunk)
    if left:
        raise EOFError(f"{name} ends {left} bytes early")


def _untar(archive: Path, writer: _Writer) -> None:
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            writer.count()
            if not (member.isdir() or member.isreg()):
                continue
            member = tarfile.data_filter(member, str(writer.target))
            if member.isdir():
                writer.folder(member.name)
            elif (stream := tar.extractfile(member)) is not None:
                writer.file(member.name, stream, member.size)


def _unzip(archive: Path, writer: _Writer) -> None:
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            writer.count()
            if member.is_dir():
                writer.folder(member.filename)
            elif (member.external_attr >> 28) in (0, 8):  # the Unix type bits: none, or a file
                with packed.open(member) as stream:
                    writer.file(member.filename, stream, member.file_size)
                    if stream.read(1):
                        raise EOFError(f"{member.filename} is longer than it says")


def _is_deb(archive: Path) -> bool:
    with archive.open("rb") as stream:
        return stream.read(8) == b"!<arch>\n"


def _undeb(archive: Path, writer: _Writer) -> None:
    """A .deb is an `ar` of three members; `data.tar.*` holds the files (deb(5))."""
    inner = writer.target / ".data.tar"
    with archive.open("rb") as stream:
        stream.seek(8)
        while header := stream.read(60):
            name, size = header[:16].decode("ascii", "replace").strip(" /"), int(header[48:58])
            if name.startswith("data.tar"):
                if name.endswith(".zst"):
                    _fsys_tarfile(archive, inner)
                else:
                    with inner.open("wb") as target:
                        _copy(name, stream, target, size)
                break
            stream.seek(size + size % 2, 1)
        else:
            raise EOFError("no data.tar in it")
    try:
        _untar(inner, writer)
    finally:
        inner.unlink()


def _fsys_tarfile(archive: Path, inner: Path) -> None:
    """Ubuntu packs with zstd, which only dpkg-deb (or a later Python) can read."""
    tool = shutil.which("dpkg-deb")
    if tool is None:
        raise ArchiveError(f"{archive} is packed with zstd, which needs dpkg-deb: install dpkg")
    with inner.open("wb") as target:
        done = subprocess.run([tool, "--fsys-tarfile", archive], stdout=target, check=False)
    if done.returncode:
        raise EOFError("dpkg-deb cannot read it")
