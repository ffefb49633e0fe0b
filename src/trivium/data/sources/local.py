"""Archives that lie on this machine: in the cache, or placed by hand."""

from dataclasses import dataclass
from pathlib import Path

from trivium.data.cache import cache_folder, cached
from trivium.data.errors import SourceUnavailable
from trivium.data.sources.base import Source


@dataclass(frozen=True)
class CacheSource(Source):
    """The cached archive of one source; origin and sum are that source's own.

    A yaml's entry `{kind: cache}` stands for the caches of all other entries, in their order.
    """

    of: Source

    @property
    def sha256(self) -> str | None:  # type: ignore[override]  # noqa: D102
        return self.of.sha256

    @property
    def origin(self) -> str:  # noqa: D102
        return self.of.origin

    @property
    def version(self) -> str:  # noqa: D102
        return self.of.version

    @property
    def key(self) -> str | None:  # noqa: D102
        return self.of.key

    def fetch(self, scratch: Path) -> Path:  # noqa: ARG002, D102
        path = cached(self.key) if self.key else None
        if path is None:
            raise SourceUnavailable(f"not in {cache_folder()}")
        return path


ARCHIVES = (".tgz", ".tar", ".gz", ".xz", ".bz2", ".zip", ".whl", ".deb")


@dataclass(frozen=True)
class FolderSource(Source):
    """A local path: an archive, a folder that holds one archive alone, or an unpacked folder."""

    path: str | None = None
    sha256: str | None = None

    @property
    def origin(self) -> str:  # noqa: D102
        return f"folder {self.path}"

    @property
    def version(self) -> str:  # noqa: D102
        return ""

    @property
    def key(self) -> None:  # noqa: D102
        return None

    def fetch(self, scratch: Path) -> Path:  # noqa: ARG002, D102
        if not self.path:
            raise SourceUnavailable("no path is set")
        path = Path(self.path).expanduser()
        if not path.exists():
            raise SourceUnavailable("nothing is there")
        if path.is_file():
            return path
        members = [p for p in sorted(path.iterdir()) if not p.name.startswith(".")]
        if not members:
            raise SourceUnavailable("the folder is empty")
        if len(members) == 1 and members[0].is_file() and members[0].suffix in ARCHIVES:
            return members[0]
        return path
