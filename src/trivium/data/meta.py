"""What a store says about itself: `meta.json`."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from trivium.data.errors import StoreError
from trivium.types import Modalities

FORMAT = 1
"""Version of the layout on disk; another number is refused with a clear message."""


@dataclass(frozen=True)
class File:
    """Size in bytes and sha256 of one file of a store."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Meta:
    """The facts of a store; holds no time and no path, so equal data give equal bytes.

    `shape` is one sample's shape (text: the most tokens that an encoder is shown; audio: 1, the
    most frames that an encoder is shown, mel bands); `columns` maps a column to its file; `tasks`
    maps a task to its class names, the main task first;
    `statistics` holds `mean` and `std` per channel over the train split only (image: in [0, 1];
    audio: of the log-mel; text: empty); `vocabulary` counts the ids of text; `sound` says how the
    log-mel was made (`trivium.data.spectrogram.SoundSettings`); `counts` are samples per split;
    `source`, `version` and `sha256` say which archive the data came from; `notes` is what a reader
    must know (for instance that a split was inferred); `config` is the digest of the config that
    made it. Of several modalities `parts` names them: each is a store of its own in a folder of
    that name, without shape and columns here; `strata` names the groups within which samples may
    be contrasted.
    """

    name: str
    modality: Modalities
    shape: tuple[int, ...]
    columns: Mapping[str, str]
    tasks: Mapping[str, tuple[str, ...]]
    statistics: Mapping[str, tuple[float, ...]]
    source: str
    version: str
    sha256: str
    licence: str
    counts: Mapping[str, int]
    config: str = ""
    notes: tuple[str, ...] = ()
    vocabulary: int = 0
    sound: tuple[float, ...] = ()
    parts: tuple[str, ...] = ()
    strata: tuple[str, ...] = ()
    files: Mapping[str, File] = field(default_factory=dict)
    format: int = FORMAT

    def to_json(self) -> str:
        """Canonical text: the same facts always give the same bytes (order of tasks is kept)."""
        facts = asdict(self)
        for name in ("parts", "strata"):  # of several modalities alone
            facts = facts if facts[name] else {k: v for k, v in facts.items() if k != name}
        facts["tasks"] = [[task, list(names)] for task, names in self.tasks.items()]
        return json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Meta":
        """Read what `to_json` wrote.

        Raises:
            StoreError: not JSON, another format version, or keys missing.
        """
        try:
            facts = json.loads(text)
            version = facts["format"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise StoreError(f"meta.json is not a store's description ({error})") from error
        if version != FORMAT:
            raise StoreError(f"the store has format {version}, this version reads {FORMAT}")
        try:
            facts["shape"] = tuple(facts["shape"])
            facts["tasks"] = {task: tuple(names) for task, names in facts["tasks"]}
            facts["statistics"] = {k: tuple(v) for k, v in facts["statistics"].items()}
            facts["notes"] = tuple(facts["notes"])
            for name in ("sound", "parts", "strata"):
                facts[name] = tuple(facts.get(name, ()))
            facts["files"] = {k: File(**v) for k, v in facts["files"].items()}
            return cls(**facts)
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"meta.json does not fit format {FORMAT} ({error})") from error
