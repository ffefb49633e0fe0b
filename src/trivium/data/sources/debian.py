"""Archives from the machine's Debian mirrors, through apt."""

from dataclasses import dataclass
from pathlib import Path

from trivium.data.sources.base import Source, only_file, plain, run_tool


@dataclass(frozen=True)
class DebianSource(Source):
    """`apt-get download PACKAGE`: needs no root and installs nothing.

    `release` pins a version; empty takes the mirror's own, which differs between releases of
    Debian, so that a recorded sum may differ too.
    """

    package: str
    release: str = ""
    sha256: str | None = None

    @property
    def origin(self) -> str:  # noqa: D102
        return f"debian {self._spec}"

    @property
    def version(self) -> str:  # noqa: D102
        return self.release

    @property
    def key(self) -> str:  # noqa: D102
        return f"debian/{plain(self._spec)}.deb"

    def fetch(self, scratch: Path) -> Path:  # noqa: D102
        run_tool(["apt-get", "download", "--quiet", self._spec], scratch)
        return only_file(scratch, "*.deb")

    @property
    def _spec(self) -> str:
        return f"{self.package}={self.release}" if self.release else self.package
