"""What a store says about itself: `meta.json`, and the rows that its samples name."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from trivium.data.errors import DataError, StoreError
from trivium.types import MODALITIES, Modalities, Modality

if TYPE_CHECKING:
    from trivium.data.writer import Parsed


def check_rows(name: str, parsed: "Parsed", parts: "Mapping[Modality, Parsed]") -> None:
    """Refuse rows that do not exist, and samples with fewer than two modalities.

    Raises:
        DataError: names the modality or counts the samples.
    """
    rows = parsed.rows or {}
    order = [one for one in MODALITIES if one in parts]
    if len(order) < 2 or list(parts) != order or list(rows) != order:
        raise DataError(
            f"{name}: parts {[*parts]} and rows {[*rows]} must name the same modalities, two at "
            f"least, in the order {', '.join(MODALITIES)}"
        )
    for one, named in rows.items():
        count = parts[one].num_samples
        if len(named) != parsed.num_samples or named.min() < -1 or named.max() >= count:
            raise DataError(
                f"{name}: each of {parsed.num_samples} samples must name one of {count} rows of "
                f"{one}, or -1"
            )
    poor = np.flatnonzero(sum((named >= 0).astype(int) for named in rows.values()) < 2)
    if len(poor):
        raise DataError(
            f"{name}: {len(poor)} samples have fewer than two modalities, the first is number "
            f"{poor[0]}"
        )
    if parsed.strata is not None and (
        len(parsed.strata) != parsed.num_samples
        or parsed.strata.min() < 0
        or parsed.strata.max() >= len(parsed.stratum_names)
    ):
        raise DataError(f"{name}: strata must be one of {len(parsed.stratum_names)} per sample")


def describe_rows(
    name: str,
    modality: Modality,
    parsed: "Parsed",
    part: "Parsed",
    splits: Mapping[str, np.ndarray],
) -> "tuple[Parsed, dict[str, np.ndarray]]":
    """A part with the labels and groups of its rows, and the rows of each split.

    Rows that no sample of a split names are in none.

    Raises:
        DataError: samples that name the same row disagree on its split, group or label.
    """
    assert parsed.rows is not None
    named, count = parsed.rows[modality], part.num_samples
    split = np.full(parsed.num_samples, -1)
    for number, chosen in enumerate(splits.values()):
        split[chosen] = number

    def of_rows(values: np.ndarray, what: str, used: np.ndarray) -> np.ndarray:
        found = np.zeros(count, np.int64)
        found[named[used]] = values[used]
        if wrong := int((found[named[used]] != values[used]).sum()):
            raise DataError(
                f"{name}: {wrong} samples name a row of {modality} that another sample of "
                f"another {what} names, too"
            )
        return found

    used = np.flatnonzero((named >= 0) & (split >= 0))
    labels = {task: of_rows(ids, task, used) for task, ids in parsed.labels.items()}
    groups = None
    if parsed.groups is not None:
        groups = of_rows(parsed.groups, "group", used)
    rows_split = np.where(np.isin(np.arange(count), named[used]), of_rows(split, "split", used), -1)
    theirs = {one: np.flatnonzero(rows_split == number) for number, one in enumerate(splits)}
    described = part._replace(labels=labels, tasks=dict(parsed.tasks), groups=groups)
    for one, rows in theirs.items():
        if len(rows) == 0:
            raise DataError(f"{name}: no sample of {one} has {modality}")
    return described, theirs


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
