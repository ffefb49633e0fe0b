"""A folder of the user's own text files, one folder per class (or none, without labels)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trivium.data.datasets.folders import SUFFIXES, open_folder, read_text
from trivium.data.datasets.layout import tokenization
from trivium.data.writer import Parsed


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:  # noqa: ARG001
    """Read every text file (UTF-8) below `folder`, ordered by path: one sample each.

    Layouts: see `ClassFolder`. Option: `test_fraction` (where there is no folder `test`).

    Raises:
        DataError: no files, an empty one or one that is not UTF-8, classes that differ between
            train and test, or files both in class folders and outside.
    """
    found = open_folder(folder, SUFFIXES, "texts")
    texts = [read_text(path) for path in found.every]
    return Parsed(
        {},
        *found.labels(),
        *found.divide(np.ones(len(texts), bool), config),
        texts=texts,
        tokenizer=tokenization(config),
    )
