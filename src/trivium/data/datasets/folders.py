"""Folders of a user's own files, one per class or without labels."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trivium.data.config import number
from trivium.data.errors import DataError
from trivium.data.splits import carve

SUFFIXES = {".txt", ".md", ".text"}


def read_text(path: Path) -> str:
    """A file's text (UTF-8, with or without a byte order mark), with one line break at line ends.

    Raises:
        DataError: it is empty, or of another encoding; names it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 ({error}): convert it") from error
    if not text.strip():
        raise DataError(f"{path} holds no text: remove it")
    return text


class ClassFolder(NamedTuple):
    """Files of the splits (train and test, or all together) and the names of their classes.

    Layouts: `train/CLASS/...` and `test/CLASS/...`; or `CLASS/...`; files that lie in no class
    folder make an unlabelled dataset.
    """

    splits: list[Path]
    files: list[list[Path]]
    classes: tuple[str, ...]

    @property
    def every(self) -> list[Path]:
        """The files of all splits, each split ordered by path."""
        return [path for found in self.files for path in found]

    def labels(self) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]]]:
        """The class of every file, and the classes' names: task `label`, or no task."""
        if not self.classes:
            return {}, {}
        ids = {name: number for number, name in enumerate(self.classes)}
        of_file = [
            ids[path.relative_to(split).parts[0]]
            for split, found in zip(self.splits, self.files, strict=True)
            for path in found
        ]
        return {"label": np.array(of_file, np.int64)}, {"label": self.classes}

    def divide(
        self, good: np.ndarray, config: Mapping[str, object]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Train and test among the good files: as the folders say, or a stratified fifth as test.

        The config's `test_fraction` says another share than 0.2.

        Raises:
            DataError: the share is outside of (0, 1).
        """
        kept = np.flatnonzero(good)
        if len(self.splits) == 2:
            num_train = len(self.files[0])
            return kept[kept < num_train], kept[kept >= num_train]
        share = number(config, "test_fraction", 0.2)
        if not 0 < share < 1:
            raise DataError(f"{config['name']}: test_fraction is {share}; expected it in (0, 1)")
        return carve(kept, self.labels()[0].get("label"), share, stream=1)


def open_folder(folder: Path, suffixes: Collection[str], what: str) -> ClassFolder:
    """Find the files of some kinds below a folder; `what` names them in messages.

    Raises:
        DataError: there are none, classes differ between train and test, or files lie both in
            class folders and outside.
    """
    folder = _inner(folder)
    splits = [folder / "train", folder / "test"] if (folder / "train").is_dir() else [folder]
    if len(splits) == 2 and not splits[1].is_dir():
        raise DataError(f"{folder} has a folder train but no folder test")
    files = [_found(split, suffixes, what) for split in splits]
    classes = [_classes(split, found) for split, found in zip(splits, files, strict=True)]
    if classes[0] != classes[-1]:
        odd = sorted(set(classes[0]) ^ set(classes[-1]))
        raise DataError(f"{folder}: train and test differ in classes: {', '.join(odd)}")
    return ClassFolder(splits, files, classes[0])


def _inner(folder: Path) -> Path:
    """Step into the one folder that archives often hold around everything."""
    inside = [p for p in folder.iterdir() if not p.name.startswith(".")]
    alone = len(inside) == 1 and inside[0].is_dir()
    deeper = alone and any(p.is_dir() for p in inside[0].iterdir())
    return inside[0] if deeper else folder


def _found(folder: Path, suffixes: Collection[str], what: str) -> list[Path]:
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in suffixes
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    ]
    if not found:
        raise DataError(f"no {what} in {folder}; known kinds are: {' '.join(sorted(suffixes))}")
    return found


def _classes(folder: Path, files: list[Path]) -> tuple[str, ...]:
    tops = [path.relative_to(folder).parts for path in files]
    outside = [parts[0] for parts in tops if len(parts) == 1]
    if len(outside) == len(files):
        return ()
    if outside:
        raise DataError(f"{folder} has class folders, but {outside[0]} lies outside of them")
    return tuple(sorted({parts[0] for parts in tops}))
