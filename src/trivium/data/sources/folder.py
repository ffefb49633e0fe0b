"""Archives and folders that someone placed by hand."""

from dataclasses import dataclass
from pathlib import Path

from trivium.data.errors import SourceUnavailable
from trivium.data.sources.base import Source

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
