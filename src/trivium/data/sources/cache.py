"""Whatever another source of the same dataset left in the cache."""

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
