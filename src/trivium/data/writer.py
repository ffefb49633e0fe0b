"""Writing a store: a temporary folder, then one rename, so that no half store is ever seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8

from trivium.data.cache import file_sum
from trivium.data.errors import DataError
from trivium.data.meta import File, Meta, check_rows, describe_rows
from trivium.data.spectrogram import SoundSettings
from trivium.data.splits import carve
from trivium.data.store import GROUPS, META, STRATA, TOKENIZER, Store, offsets_file, rows_file
from trivium.io import new_folder
from trivium.types import Modality, together

CHUNK = 4096
"""Pictures whose values are counted together."""


class TokenizerSettings(NamedTuple):
    """How texts become ids: what `train_tokenizer` takes, and the most tokens that are shown."""

    settings: Mapping[str, object]
    length: int


class Waves(NamedTuple):
    """Clips of audio: int16 samples one after another, and where each clip begins (and the end).

    `settings` are those of its log-mel; an encoder is shown `frames` frames of a clip at most.
    """

    flat: np.ndarray
    offsets: np.ndarray
    settings: SoundSettings
    frames: int


class Parsed(NamedTuple):
    """What a dataset's parser returns: every sample in one order, and who is train and test.

    `columns` are arrays with the samples on the first axis; `labels` maps a task (the main one
    first) to int64 class ids, `tasks` maps it to its class names; `train` still contains what
    will become validation; `notes` goes into the store's meta. `groups` (int64 [sample]) tells
    which samples are near copies of each other: train, validation and test never share a group.
    It is None where samples are independent, or where the split shares groups by intent. `wholes`
    are larger groups, made of whole groups, of which validation takes each as a whole or not at
    all: what is unseen in test (a pitch, a speaker) is then unseen in validation, too. Of text
    there are `texts` and `tokenizer` (its settings and the most tokens that an encoder is shown)
    instead of columns, of audio there are `waves`.

    Of several modalities there are `parts` instead: by modality, in the order of `MODALITIES`, its
    content (columns, texts or waves, each thing once) without labels and splits; a sample names
    one row of each, or -1 where it lacks that modality, in `rows` (int64 [sample]). Rows get the
    labels, the group and the split of the samples that name them, which must agree. `strata`
    (int64 [sample], names in `stratum_names`) tells which samples may be contrasted: a batch is of
    one stratum, and so are the candidates of a retrieval.
    """

    columns: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    tasks: dict[str, tuple[str, ...]]
    train: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...] = ()
    groups: np.ndarray | None = None
    wholes: np.ndarray | None = None
    texts: Sequence[str] | None = None
    tokenizer: TokenizerSettings | None = None
    waves: Waves | None = None
    parts: "dict[Modality, Parsed] | None" = None
    rows: dict[Modality, np.ndarray] | None = None
    strata: np.ndarray | None = None
    stratum_names: tuple[str, ...] = ()

    @property
    def num_samples(self) -> int:
        """Samples of all splits, and those of none."""
        if self.rows is not None:
            return len(next(iter(self.rows.values())))
        if self.waves is not None:
            return len(self.waves.offsets) - 1
        return len(self.columns["image"] if self.texts is None else self.texts)


class Origin(NamedTuple):
    """Where a dataset came from: source, version, sha256, licence and the config's digest."""

    source: str
    version: str
    sha256: str
    licence: str
    config: str = ""


def write_store(
    folder: Path,
    name: str,
    parsed: Parsed,
    origin: Origin,
    check: Callable[[Meta], None] | None = None,
) -> Store:
    """Write a dataset as a store, replacing an older one only when the new one is complete.

    Validation is carved from train by the protocol, stratified by the main task, and keeps
    groups whole. The same input gives the same bytes. A tokenizer is trained on train alone.
    `check` may refuse the facts by raising, before anything is written; of several modalities it
    is asked of each part, too.

    Raises:
        DataError: lengths, ids or splits do not fit together.
    """
    _check(name, parsed)
    main = next(iter(parsed.labels.values()), None)
    kept = parsed.groups if parsed.wholes is None else parsed.wholes
    train, validation = carve(parsed.train.astype(np.int64), main, groups=kept)
    splits = {"train": train, "validation": validation, "test": np.sort(parsed.test)}
    with new_folder(folder) as temporary:
        _write(temporary, name, parsed, splits, origin, check, folder.absolute().parent)
    return Store.open(folder)


def _write(
    folder: Path,
    name: str,
    parsed: Parsed,
    splits: Mapping[str, np.ndarray],
    origin: Origin,
    check: Callable[[Meta], None] | None,
    scratch: Path,
) -> None:
    """Fill a folder with the arrays and the meta of a store whose splits are known."""
    if parsed.texts is not None:
        _check_texts(name, parsed.texts)
    if parsed.waves is not None:
        _check_waves(name, parsed.waves)
    content = _content(parsed, splits["train"], scratch)
    arrays = dict(content.arrays)
    arrays |= {f"labels.{t}.npy": v.astype(np.int64) for t, v in parsed.labels.items()}
    arrays |= {f"split.{s}.npy": v.astype(np.int64) for s, v in splits.items()}
    if parsed.groups is not None:
        arrays[GROUPS] = parsed.groups
    meta = Meta(
        name=name,
        tasks=dict(parsed.tasks),
        counts={s: len(v) for s, v in splits.items()},
        notes=(*parsed.notes, *content.notes),
        **content.facts,
        **origin._asdict(),
    )
    if check is not None:
        check(meta)
    files = {file: _save(folder / file, array) for file, array in arrays.items()}
    for file, text in content.documents.items():
        (folder / file).write_text(text, encoding="utf-8")
        files[file] = _file(folder / file)
    for one, part in (parsed.parts or {}).items():
        (folder / one).mkdir()
        of_rows, their_splits = describe_rows(name, one, parsed, part, splits)
        _write(folder / one, name, of_rows, their_splits, origin, check, scratch)
        files[f"{one}/{META}"] = _file(folder / one / META)
    (folder / META).write_text(replace(meta, files=files).to_json(), encoding="utf-8")


class _Content(NamedTuple):
    """What a modality puts into its store: arrays and texts by file, and facts of the meta."""

    arrays: dict[str, np.ndarray]
    documents: dict[str, str]
    facts: dict[str, Any]
    notes: tuple[str, ...] = ()


def _content(parsed: Parsed, train: np.ndarray, scratch: Path) -> _Content:
    if parsed.parts is not None:
        return _several(parsed, parsed.parts)
    if parsed.texts is not None:
        return _texts(parsed, train)
    if parsed.waves is not None:
        return _sounds(parsed.waves, train, scratch)
    return _pictures(parsed, train)


def _several(parsed: Parsed, parts: Mapping[Modality, Parsed]) -> _Content:
    assert parsed.rows is not None
    arrays = {rows_file(one): rows.astype(np.int64) for one, rows in parsed.rows.items()}
    if parsed.strata is not None:
        arrays[STRATA] = parsed.strata.astype(np.int64)
    facts = {
        "modality": together(parts),
        "shape": (),
        "columns": {},
        "statistics": {"mean": (), "std": ()},
        "parts": tuple(parts),
        "strata": parsed.stratum_names,
    }
    return _Content(arrays, {}, facts)


def _pictures(parsed: Parsed, train: np.ndarray) -> _Content:
    images = parsed.columns["image"]
    mean, std = channel_statistics(images, train)
    arrays = {f"{column}.{array.dtype}.npy": array for column, array in parsed.columns.items()}
    facts = {
        "modality": "image",
        "shape": tuple(int(n) for n in images.shape[1:]),
        "columns": dict(zip(parsed.columns, arrays, strict=True)),
        "statistics": {"mean": mean, "std": std},
    }
    return _Content(arrays, {}, facts)


def _texts(parsed: Parsed, train: np.ndarray) -> _Content:
    from trivium.data.tokenizer import encode_all, train_tokenizer

    assert parsed.texts is not None
    assert parsed.tokenizer is not None
    texts = parsed.texts
    tokenizer = train_tokenizer(parsed.tokenizer.settings, (texts[i] for i in train))
    encoded = [text.encode() for text in texts]
    ragged = {
        "tokens": encode_all(tokenizer, texts),
        "text": (
            np.frombuffer(b"".join(encoded), np.uint8),
            np.cumsum([0, *map(len, encoded)]).astype(np.int64),
        ),
    }
    columns = {column: f"{column}.{flat.dtype}.npy" for column, (flat, _) in ragged.items()}
    arrays = {columns[column]: flat for column, (flat, _) in ragged.items()}
    arrays |= {offsets_file(column): offsets for column, (_, offsets) in ragged.items()}
    facts = {
        "modality": "text",
        "shape": (parsed.tokenizer.length,),
        "columns": columns,
        "statistics": {"mean": (), "std": ()},
        "vocabulary": tokenizer.get_vocab_size(),
    }
    return _Content(arrays, {TOKENIZER: tokenizer.to_str()}, facts)


def _sounds(waves: Waves, train: np.ndarray, scratch: Path) -> _Content:
    from trivium.data.spectrogram import frame_statistics, log_mels

    scratch.mkdir(parents=True, exist_ok=True)
    mel, offsets = log_mels(waves.flat, waves.offsets, waves.settings, scratch)
    mean, std = frame_statistics(mel, offsets, train, limit=waves.frames)
    columns = {"mel": "mel.float16.npy", "wave": "wave.int16.npy"}
    arrays: dict[str, np.ndarray] = {columns["mel"]: mel, columns["wave"]: waves.flat}
    arrays |= {offsets_file("mel"): offsets, offsets_file("wave"): waves.offsets}
    facts = {
        "modality": "audio",
        "shape": (1, waves.frames, waves.settings.bands),
        "columns": columns,
        "statistics": {"mean": (mean,), "std": (std,)},
        "sound": tuple(waves.settings),
    }
    cut = int((np.diff(offsets) > waves.frames).sum())
    seconds = waves.frames * waves.settings.hop / waves.settings.rate
    note = f"{cut} clips are longer than {seconds:.3g} s: an encoder is shown their beginning."
    return _Content(arrays, {}, facts, (note,) if cut else ())


def channel_statistics(
    images: UInt8[np.ndarray, "sample channel height width"], indices: Int64[np.ndarray, " index"]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of some pictures, in [0, 1], to six decimals.

    Counts how often each of the 256 values occurs, so that no rounding depends on the order of
    a sum.
    """
    counts = np.zeros((images.shape[1], 256), np.int64)
    for start in range(0, len(indices), CHUNK):
        chunk = np.asarray(images[indices[start : start + CHUNK]])
        for channel, total in enumerate(counts):
            total += np.bincount(chunk[:, channel].ravel(), minlength=256)
    values = np.arange(256) / 255
    weights = counts / counts.sum(axis=1, keepdims=True)
    mean = weights @ values
    std = np.sqrt((weights * (values - mean[:, None]) ** 2).sum(axis=1))
    return tuple(float(m.round(6)) for m in mean), tuple(float(s.round(6)) for s in std)


def _save(path: Path, array: np.ndarray) -> File:
    np.save(path, np.ascontiguousarray(array), allow_pickle=False)
    return _file(path)


def _file(path: Path) -> File:
    return File(path.stat().st_size, file_sum(path))


def _check(name: str, parsed: Parsed) -> None:
    num_samples = parsed.num_samples
    if len(parsed.train) < 2 or len(parsed.test) < 1:
        found = f"{len(parsed.train)} train and {len(parsed.test)} test samples"
        raise DataError(f"{name}: {found} are too few: at least 2 and 1 are needed")
    used = np.concatenate([parsed.train, parsed.test])
    if len(np.unique(used)) != len(used) or used.min() < 0 or used.max() >= num_samples:
        raise DataError(
            f"{name}: train and test indices overlap or leave the {num_samples} samples"
        )
    if parsed.parts is not None:
        check_rows(name, parsed, parsed.parts)
    if parsed.groups is not None:
        _check_groups(name, parsed, parsed.groups)
    if parsed.wholes is not None:
        _check_groups(name, parsed, parsed.wholes)
        if parsed.groups is None or not _nests(parsed.groups, parsed.wholes):
            raise DataError(f"{name}: wholes must be made of whole groups")
    if parsed.labels.keys() != parsed.tasks.keys():
        raise DataError(f"{name}: labels {[*parsed.labels]} do not match tasks {[*parsed.tasks]}")
    for task, ids in parsed.labels.items():
        if len(ids) != num_samples or ids.min() < 0 or ids.max() >= len(parsed.tasks[task]):
            raise DataError(
                f"{name}: task {task!r} needs {num_samples} class ids in "
                f"[0, {len(parsed.tasks[task])}), got {len(ids)} in [{ids.min()}, {ids.max()}]"
            )


def _check_texts(name: str, texts: Sequence[str]) -> None:
    blank = [row for row, text in enumerate(texts) if not text.strip()]
    if blank:
        raise DataError(f"{name}: {len(blank)} texts are empty, the first is number {blank[0]}")


def _check_waves(name: str, waves: Waves) -> None:
    flat, offsets = waves.flat, waves.offsets
    if flat.dtype != np.int16 or offsets.dtype != np.int64 or offsets[-1] != len(flat):
        raise DataError(
            f"{name}: waves must be int16 samples with int64 offsets that end at the last, got "
            f"{flat.dtype} [{len(flat)}] with {offsets.dtype} offsets up to {offsets[-1]}"
        )
    empty = np.flatnonzero(np.diff(offsets) < 1)
    if len(empty):
        raise DataError(f"{name}: {len(empty)} clips are empty, the first is number {empty[0]}")


def _nests(groups: np.ndarray, wholes: np.ndarray) -> bool:
    """Whether no group lies in two wholes."""
    pairs = np.unique(np.stack([groups, wholes]), axis=1)
    return int(pairs.shape[1]) == len(np.unique(groups))


def _check_groups(name: str, parsed: Parsed, groups: np.ndarray) -> None:
    num_samples = parsed.num_samples
    if groups.shape != (num_samples,) or groups.dtype != np.int64:
        raise DataError(
            f"{name}: groups must be {num_samples} int64 ids, got {groups.dtype} {groups.shape}"
        )
    shared = np.intersect1d(groups[parsed.train], groups[parsed.test])
    if len(shared):
        raise DataError(f"{name}: {len(shared)} groups are in train and in test: {shared[:5]}")
