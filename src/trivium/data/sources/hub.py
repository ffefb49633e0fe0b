"""Datasets from the Hugging Face hub, taken home as parquet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trivium.data.errors import SourceUnavailable
from trivium.data.sources.base import Source, plain


@dataclass(frozen=True)
class HubSource(Source):
    """`datasets.load_dataset(id, config, revision=...)`, saved as one parquet file per split.

    `splits` maps our `train` and `test` to the dataset's own names. A branch as `revision`
    moves; give a commit to pin it.
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
        folder = scratch / "parquet"
        try:
            export_parquet(self.id, folder, self.splits, self.revision, self.config)
        except Exception as error:  # the client raises its own, httpx's and OS errors alike
            reason = str(error).strip().splitlines() or ["no reason given"]
            raise SourceUnavailable(f"{type(error).__name__}: {reason[0]}") from error
        return folder


def export_parquet(
    id_or_folder: str,
    target: Path,
    splits: Mapping[str, str],
    revision: str | None = None,
    config: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Load a dataset by id (or a local folder) and write `train.parquet` and `test.parquet`.

    A split that maps to nothing is left out. Pictures lie inside the files, still encoded.
    `options` are the library's own for the kind of files.
    """
    import datasets

    target.mkdir(parents=True, exist_ok=True)
    for ours, theirs in splits.items():
        if theirs:
            part = datasets.load_dataset(
                id_or_folder, config, revision=revision, split=theirs, **(options or {})
            )
            part.to_parquet(target / f"{ours}.parquet")
