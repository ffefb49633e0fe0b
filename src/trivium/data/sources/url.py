"""Archives from a web address."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from trivium.data.errors import SourceUnavailable
from trivium.data.sources.base import Source

CHUNK = 1 << 20


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
    def version(self) -> str:  # noqa: D102
        return self.release

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


def _is_passing(error: BaseException) -> bool:
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code == 429
    return isinstance(error, httpx.TransportError)
