"""From an ordered list of sources to one folder of unpacked files."""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from trivium.data.cache import cache_folder, content_sum, discard, place, warn_of_sum
from trivium.data.errors import ArchiveError, DataError, SourceUnavailable
from trivium.data.progress import announce
from trivium.data.sources import Bundle, CacheSource, FolderSource, Source, build_sources
from trivium.data.unpack import unpack

PLAIN = {".csv", ".tsv", ".json", ".jsonl", ".parquet", ".txt", ".md", ".text"}
"""Kinds of files that are data themselves, no archives."""


class Fetched(NamedTuple):
    """An unpacked dataset: its folder, and the source, version and sum of its archive."""

    folder: Path
    source: str
    version: str
    sha256: str


def fetch(dataset: str, entries: Sequence[Mapping[str, object]], scratch: Path) -> Fetched:
    """Try the sources in turn; the first that answers is unpacked.

    Args:
        dataset: Name for messages.
        entries: The yaml's list of sources.
        scratch: An existing folder, to be removed by the caller.

    Raises:
        DataError: none answered; lists each with its reason and where a file can be placed.
        ArchiveError: a source answered with a corrupt archive.
    """
    sources = build_sources(dataset, entries)
    fetched, failed = _first(sources, dataset, scratch)
    if fetched is not None:
        return fetched
    tried = "\n".join(f"  {line}" for line in failed) or "  (the config lists no source)"
    raise DataError(f"{dataset} cannot be had from any of its sources:\n{tried}{_by_hand(sources)}")


def _first(
    sources: Sequence[Source | Bundle], dataset: str, scratch: Path
) -> tuple[Fetched | None, list[str]]:
    """The first source that answers, or None; and why those before it did not."""
    failed: list[str] = []
    for source in sources:
        where = f"cache of {source.origin}" if isinstance(source, CacheSource) else source.origin
        try:
            if isinstance(source, Bundle):
                fetched = _all(source, dataset, scratch)
            else:
                fetched = _try(source, dataset, scratch)
        except SourceUnavailable as reason:
            failed.append(f"{where}: {reason}")
        else:
            announce(f"{dataset}: from {where}")
            return fetched, failed
    return None, failed


def _all(bundle: Bundle, dataset: str, scratch: Path) -> Fetched:
    """Every part, from its cache or else itself, unpacked into a folder of its own."""
    whole = Path(tempfile.mkdtemp(dir=scratch))
    sums = hashlib.sha256()
    for name, part in bundle.parts.items():
        fetched, failed = _first([CacheSource(part), part], dataset, scratch)
        if fetched is None:
            raise SourceUnavailable(f"part {name}: {'; '.join(failed)}")
        shutil.move(fetched.folder, whole / name)
        sums.update(f"{name}\0{fetched.sha256}\n".encode())
    return Fetched(whole, bundle.origin, bundle.version, sums.hexdigest())


def _by_hand(sources: Sequence[Source | Bundle]) -> str:
    places = [s.path for s in sources if isinstance(s, FolderSource) and s.path]
    if not places:
        return ""
    bundles = [source for source in sources if isinstance(source, Bundle)]
    if bundles:
        folders = ", ".join(bundles[0].parts)
        return f"\nUnpack every package by hand into its own folder in {places[0]}: {folders}"
    return f"\nPlace the archive by hand in: {places[0]}"


def _try(source: Source, dataset: str, scratch: Path) -> Fetched:
    work = Path(tempfile.mkdtemp(dir=scratch))
    local = isinstance(source, CacheSource | FolderSource)
    if not local:
        announce(f"{dataset}: asking {source.origin} ...")
    path = source.fetch(work)
    folder = path
    if path.is_file():
        folder = work / "unpacked"
        try:
            if path.suffix.lower() in PLAIN:
                folder.mkdir()
                shutil.copy(path, folder)
            else:
                unpack(path, folder)
        except ArchiveError as error:
            _explain(source, path, error)
    digest = content_sum(path)
    if source.sha256 is not None or (path.is_file() and not isinstance(source, FolderSource)):
        warn_of_sum(source.origin, digest, source.sha256)
    if not local and source.key is not None:
        folder = _keep(path, folder, source.key)
    return Fetched(folder, source.origin, source.version, digest)


def _keep(path: Path, folder: Path, key: str) -> Path:
    try:
        kept = place(path, key)
    except OSError as error:
        announce(f"the download is not kept: {cache_folder()} cannot be written ({error})")
        return folder
    return kept if folder == path else folder


def _explain(source: Source, path: Path, error: ArchiveError) -> None:
    """A broken cache heals itself by fetching again; anything else broken is an error."""
    if isinstance(source, CacheSource):
        discard(path)
        raise SourceUnavailable(f"removed, because {error}") from error
    sums = f"its sha256 is {content_sum(path)}, recorded is {source.sha256 or 'none'}"
    raise ArchiveError(f"{source.origin}: {error} ({sums})") from error
