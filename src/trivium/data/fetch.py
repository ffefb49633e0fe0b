"""From an ordered list of sources to one folder of unpacked files."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from trivium.data.cache import cache_folder, discard, place
from trivium.data.checksum import content_sum, warn_of_sum
from trivium.data.errors import ArchiveError, DataError, SourceUnavailable
from trivium.data.progress import announce
from trivium.data.sources import build_sources
from trivium.data.sources.base import Source
from trivium.data.sources.cache import CacheSource
from trivium.data.sources.folder import FolderSource
from trivium.data.unpack import unpack


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
    failed: list[str] = []
    sources = build_sources(dataset, entries)
    for source in sources:
        where = f"cache of {source.origin}" if isinstance(source, CacheSource) else source.origin
        try:
            fetched = _try(source, dataset, scratch)
        except SourceUnavailable as reason:
            failed.append(f"  {where}: {reason}")
        else:
            announce(f"{dataset}: from {where}")
            return fetched
    by_hand = [
        source.path for source in sources if isinstance(source, FolderSource) and source.path
    ]
    hint = f"\nPlace the archive by hand in: {by_hand[0]}" if by_hand else ""
    tried = "\n".join(failed) or "  (the config lists no source)"
    raise DataError(f"{dataset} cannot be had from any of its sources:\n{tried}{hint}")


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
