"""A folder of the user's own pictures, one folder per class (or none, without labels)."""

from collections.abc import Mapping
from pathlib import Path

from trivium.data.datasets.folders import open_folder
from trivium.data.datasets.images import decode_all
from trivium.data.progress import track
from trivium.data.writer import Parsed

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:
    """Decode every picture below `folder` to `spec.shape`, ordered by path.

    Layouts: see `ClassFolder`. Options: `test_fraction` (where there is no folder `test`) and
    `on_error` (`raise` or `skip`).

    Raises:
        DataError: no pictures, classes that differ between train and test, pictures both in
            class folders and outside, or a broken one (unless skipped).
    """
    found = open_folder(folder, SUFFIXES, "pictures")
    total = len(found.every)
    named = ((str(path), path) for path in track(found.every, f"decoding {config['name']}", total))
    array, good = decode_all(named, total, dict(config), scratch)
    return Parsed({"image": array}, *found.labels(), *found.divide(good, config))
