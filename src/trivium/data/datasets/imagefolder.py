"""A folder of the user's own pictures, one folder per class (or none, without labels)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trivium.data.config import number
from trivium.data.datasets.pictures import decode_all
from trivium.data.errors import DataError
from trivium.data.progress import track
from trivium.data.splits import carve
from trivium.data.writer import Parsed

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:
    """Decode every picture below `folder` to `spec.shape`, ordered by path.

    Layouts: `train/CLASS/...` and `test/CLASS/...`; or `CLASS/...`, of which a stratified
    `test_fraction` (default 0.2) becomes test; pictures that lie in no class folder make an
    unlabelled dataset. Options: `on_error` (`raise` or `skip`).

    Raises:
        DataError: no pictures, classes that differ between train and test, pictures both in
            class folders and outside, or a broken one (unless skipped).
    """
    folder = _inner(folder)
    splits = [folder / "train", folder / "test"] if (folder / "train").is_dir() else [folder]
    if len(splits) == 2 and not splits[1].is_dir():
        raise DataError(f"{folder} has a folder train but no folder test")
    files = [_pictures(split) for split in splits]
    classes = [_classes(split, found) for split, found in zip(splits, files, strict=True)]
    if classes[0] != classes[-1]:
        odd = sorted(set(classes[0]) ^ set(classes[-1]))
        raise DataError(f"{folder}: train and test differ in classes: {', '.join(odd)}")
    every = [path for found in files for path in found]
    named = ((str(path), path) for path in track(every, f"decoding {config['name']}", len(every)))
    array, good = decode_all(named, len(every), dict(config), scratch)
    labels, tasks = _labels(splits, files, classes[0])
    kept = np.flatnonzero(good)
    if len(splits) == 2:
        return Parsed(
            {"image": array},
            labels,
            tasks,
            kept[kept < len(files[0])],
            kept[kept >= len(files[0])],
        )
    share = number(config, "test_fraction", 0.2)
    if not 0 < share < 1:
        raise DataError(f"{config['name']}: test_fraction is {share}; expected it in (0, 1)")
    train, test = carve(kept, labels.get("label"), share, stream=1)
    return Parsed({"image": array}, labels, tasks, train, test)


def _inner(folder: Path) -> Path:
    """Step into the one folder that archives often hold around everything."""
    inside = [p for p in folder.iterdir() if not p.name.startswith(".")]
    alone = len(inside) == 1 and inside[0].is_dir()
    deeper = alone and any(p.is_dir() for p in inside[0].iterdir())
    return inside[0] if deeper else folder


def _pictures(folder: Path) -> list[Path]:
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    ]
    if not found:
        raise DataError(f"no pictures in {folder}; known kinds are: {' '.join(sorted(SUFFIXES))}")
    return found


def _classes(folder: Path, files: list[Path]) -> tuple[str, ...]:
    tops = [path.relative_to(folder).parts for path in files]
    outside = [parts[0] for parts in tops if len(parts) == 1]
    if len(outside) == len(files):
        return ()
    if outside:
        raise DataError(f"{folder} has class folders, but {outside[0]} lies outside of them")
    return tuple(sorted({parts[0] for parts in tops}))


def _labels(
    splits: list[Path], files: list[list[Path]], classes: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]]]:
    if not classes:
        return {}, {}
    ids = {name: number for number, name in enumerate(classes)}
    of_file = [
        ids[path.relative_to(split).parts[0]]
        for split, found in zip(splits, files, strict=True)
        for path in found
    ]
    return {"label": np.array(of_file, np.int64)}, {"label": classes}
