"""A dataset on disk as memory-mapped arrays: decoded once, gathered by index ever after."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import numpy as np
from jaxtyping import Int64

from trivium.data.cache import file_sum
from trivium.data.errors import DataError, StoreError
from trivium.data.meta import Meta
from trivium.data.splits import label_fraction, training_share
from trivium.identity import store_fingerprint
from trivium.types import DataSpec, Modality

if TYPE_CHECKING:
    from tokenizers import Tokenizer

META = "meta.json"
GROUPS = "groups.int64.npy"
STRATA = "strata.int64.npy"
TOKENIZER = "tokenizer.json"
SPLITS = ("train", "validation", "test")


class Store:
    """One dataset on disk: columns, labels per task, split indices and `meta.json`.

    Open it with `Store.open`; write it with `trivium.data.writer.write_store`. Arrays are
    read-only memory maps of .npy files; pickled content is never loaded.
    """

    def __init__(self, folder: Path, meta: Meta, fingerprint: str) -> None:
        self.folder = folder
        self.meta = meta
        self.fingerprint = fingerprint
        self._arrays: dict[str, np.memmap] = {}

    @classmethod
    def open(cls, folder: Path, verify: bool = False) -> "Store":
        """Open a store; sizes are always checked, contents (sha256) if `verify`.

        Raises:
            StoreError: no store there, another format, or a file missing, of another size or
                (with `verify`) altered; the message names the file.
        """
        path = folder / META
        if not path.is_file():
            raise StoreError(f"there is no store in {folder}: prepare the dataset first")
        text = path.read_bytes()
        try:
            meta = Meta.from_json(text.decode())
        except StoreError as error:
            raise StoreError(f"{folder}: {error}; prepare the dataset again") from error
        for name, facts in meta.files.items():
            _check(folder / name, facts.bytes, facts.sha256 if verify else None)
        for part in meta.parts:
            cls.open(folder / part, verify)
        return cls(folder, meta, store_fingerprint(folder))

    def task(self, name: str | None = None) -> str:
        """The task of that name; None or `label` mean the main task where none is called so.

        Raises:
            DataError: the dataset has no labels, or no such task.
        """
        return resolve_task(self.meta.name, tuple(self.meta.tasks), name)

    def spec(self, task: str | None = None) -> DataSpec:
        """What encoders and objectives may know; `num_classes` is 0 on unlabelled data.

        `num_samples` counts the train split alone.
        """
        classes: tuple[str, ...] = ()
        if self.meta.tasks or task is not None:
            classes = self.meta.tasks[self.task(task)]
        return DataSpec(
            name=self.meta.name,
            modality=self.meta.modality,
            shape=self.meta.shape,
            num_classes=len(classes),
            num_samples=self.meta.counts["train"],
            mean=self.meta.statistics["mean"],
            std=self.meta.statistics["std"],
            vocabulary=self.meta.vocabulary,
            sound=self.meta.sound,
            parts=tuple(part.spec(task) for part in self.parts.values()),
        )

    @cached_property
    def parts(self) -> "dict[Modality, Store]":
        """Of several modalities: the store of each, by modality; samples name its rows."""
        return {cast(Modality, one): Store.open(self.folder / one) for one in self.meta.parts}

    def part(self, modality: str) -> "Store":
        """The store of one of several modalities.

        Raises:
            DataError: the dataset has no such part.
        """
        if modality not in self.meta.parts:
            known = ", ".join(self.meta.parts) or "none, being of one modality"
            raise DataError(f"{self.meta.name} has no part {modality!r}; it has: {known}")
        return self.parts[cast(Modality, modality)]

    def rows(self, modality: str) -> Int64[np.ndarray, " sample"]:
        """Which row of a part each sample names; -1 where it lacks that modality.

        Raises:
            DataError: the dataset has no such part.
        """
        self.part(modality)
        return self._array(rows_file(modality))

    @cached_property
    def sometimes_missing(self) -> frozenset[Modality]:
        """Of several modalities: those that some sample lacks."""
        return frozenset(one for one in self.parts if (self.rows(one) < 0).any())

    def strata(self) -> Int64[np.ndarray, " sample"] | None:
        """Within which samples may be contrasted (names in `meta.strata`); None if all may."""
        return self._array(STRATA) if STRATA in self.meta.files else None

    def column(self, name: str) -> np.memmap:
        """The whole column as a read-only memory map (`image`: uint8 [sample, c, h, w])."""
        if name not in self.meta.columns:
            known = ", ".join(self.meta.columns)
            raise DataError(f"{self.meta.name} has no column {name!r}; it has: {known}")
        return self._array(self.meta.columns[name])

    def is_ragged(self, name: str) -> bool:
        """Whether the samples of a column have lengths of their own."""
        return offsets_file(name) in self.meta.files

    def ragged(self, name: str) -> tuple[np.memmap, np.memmap]:
        """A column of samples of different lengths: all values, and where each sample begins.

        Returns:
            The values one after another (`tokens`: uint16 or uint32; `text`: uint8, utf-8;
            `wave`: int16; `mel`: float16 [frame, band]), and int64 offsets, one more than samples.

        Raises:
            DataError: the column is not of this kind.
        """
        if not self.is_ragged(name):
            raise DataError(f"{self.meta.name} has no column {name!r} of varying lengths")
        return self.column(name), self._array(offsets_file(name))

    def lengths(self, name: str) -> Int64[np.ndarray, " sample"]:
        """How many values each sample of a ragged column has."""
        lengths: Int64[np.ndarray, " sample"] = np.diff(self.ragged(name)[1])
        return lengths

    def texts(self, indices: np.ndarray) -> list[str]:
        """The original texts of some samples."""
        flat, offsets = self.ragged("text")
        return [bytes(flat[offsets[i] : offsets[i + 1]]).decode() for i in indices]

    def tokenizer(self) -> "Tokenizer":
        """What made the tokens.

        Raises:
            DataError: the dataset is no text.
        """
        from trivium.data.tokenizer import load_tokenizer

        return load_tokenizer(self.tokenizer_text())

    def tokenizer_text(self) -> str:
        """The tokenizer's file.

        Raises:
            DataError: the dataset is no text.
        """
        if "text" in self.meta.parts:
            return self.part("text").tokenizer_text()
        if self.tokenizer_sum is None:
            raise DataError(f"{self.meta.name} is {self.meta.modality} and has no tokenizer")
        return (self.folder / TOKENIZER).read_text(encoding="utf-8")

    @property
    def tokenizer_sum(self) -> str | None:
        """Sha256 of the tokenizer's file; None where there is none."""
        if "text" in self.meta.parts:
            return self.part("text").tokenizer_sum
        return self.meta.files[TOKENIZER].sha256 if TOKENIZER in self.meta.files else None

    def labels(self, task: str | None = "label") -> Int64[np.ndarray, " sample"]:
        """Class ids of every sample (all splits), in the order of the columns."""
        return self._array(f"labels.{self.task(task)}.npy")

    def groups(self) -> Int64[np.ndarray, " sample"] | None:
        """Which samples are near copies of each other; no group is in two splits.

        None where samples are independent; then every sample is a group of its own.
        """
        return self._array(GROUPS) if GROUPS in self.meta.files else None

    def split(self, name: str) -> Int64[np.ndarray, " index"]:
        """Ascending indices of `train`, `validation` or `test`; the three are disjoint."""
        if name not in SPLITS:
            raise DataError(f"there is no split {name!r}; splits are: {', '.join(SPLITS)}")
        return self._array(f"split.{name}.npy")

    def fraction(
        self, fraction: float, draw: int, task: str | None = "label"
    ) -> tuple[Int64[np.ndarray, " train"], Int64[np.ndarray, " validation"]]:
        """The labelled (train, validation) indices of one draw of a label fraction.

        Args:
            fraction: Share of the labels in (0, 1]; 1.0 gives everything.
            draw: 0, 1, ...; fractions of one draw are nested.
            task: Whose labels are stratified.
        """
        labels = self.labels(task)
        train, validation = (
            label_fraction(self.split(part), labels, fraction=fraction, draw=draw)
            for part in ("train", "validation")
        )
        return train, validation

    def share(
        self, split: str, fraction: float, seed: int, task: str | None
    ) -> Int64[np.ndarray, " index"]:
        """What a run is given of a split: a share of each class of `task`.

        Of each stratum where `task` is None and the store has strata.
        """
        strata = self.strata() if task is None else self.labels(task)
        return training_share(self.split(split), strata, fraction=fraction, seed=seed)

    @cached_property
    def num_items(self) -> int:
        """Items of the columns: samples of all splits, and those that are in none."""
        if self.meta.parts:
            return len(self.rows(self.meta.parts[0]))
        column = next(iter(self.meta.columns))
        if self.is_ragged(column):
            return len(self.ragged(column)[1]) - 1
        return len(self.column(column))

    @cached_property
    def num_samples(self) -> int:
        """Samples in all splits together."""
        return sum(self.meta.counts.values())

    def _array(self, file: str) -> np.memmap:
        if file not in self._arrays:
            try:
                array = np.load(self.folder / file, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                _broken(self.folder / file, f"cannot be read ({error})")
            self._arrays[file] = cast(np.memmap, array)
        return self._arrays[file]


class Labelled(Store):
    """A store whose train split is some labelled items alone, such as those of a label draw.

    Everything else is as in the store itself.

    Args:
        store: An open store.
        items: What its train split shall be.
    """

    def __init__(self, store: Store, items: Int64[np.ndarray, " item"]) -> None:
        super().__init__(store.folder, store.meta, store.fingerprint)
        self.items = items

    def split(self, name: str) -> Int64[np.ndarray, " index"]:
        """The labelled items as `train`; `validation` and `test` as ever."""
        return self.items if name == "train" else super().split(name)


def offsets_file(column: str) -> str:
    """The file that says where the samples of a ragged column begin."""
    return f"{column}.offsets.int64.npy"


def rows_file(modality: str) -> str:
    """The file that says which row of a part each sample names."""
    return f"rows.{modality}.int64.npy"


def resolve_task(dataset: str, tasks: tuple[str, ...], name: str | None) -> str:
    """The task meant by `name`: itself, or the main (first) task for None and `label`."""
    if not tasks:
        raise DataError(f"{dataset} has no labels: choose a task of another dataset")
    if name in tasks:
        return name
    if name in (None, "label"):
        return tasks[0]
    raise DataError(f"{dataset} has no task {name!r}; it has: {', '.join(tasks)}")


def _check(path: Path, size: int, digest: str | None) -> None:
    if not path.is_file():
        _broken(path, "is missing")
    if path.stat().st_size != size:
        _broken(path, f"has {path.stat().st_size} bytes instead of {size}")
    if digest is not None and file_sum(path) != digest:
        _broken(path, "was altered (its sha256 is not the recorded one)")


def _broken(path: Path, how: str) -> NoReturn:
    raise StoreError(f"{path.parent}: column file {path.name} {how}; prepare the dataset again")
