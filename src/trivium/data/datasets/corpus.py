"""Running text without labels, for language models."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from trivium.data.config import number
from trivium.data.datasets.folders import SUFFIXES, read_text
from trivium.data.datasets.layout import tokenization
from trivium.data.errors import DataError
from trivium.data.writer import Parsed


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:  # noqa: ARG001
    """Read text files (UTF-8) in the order of their paths, and cut them into passages.

    A passage has about `passage` characters (default 2,000) and ends at the end of a line. The
    last `test_fraction` (default 0.1) of all passages is test: later text, never text between
    two passages of train. `files` chooses the files by a pattern (default: every text file).

    Raises:
        DataError: no files, an empty one or one that is not UTF-8, or fewer than ten passages.
    """
    pattern = config.get("files")
    every = sorted(folder.rglob(str(pattern or "*")))
    files = [
        path
        for path in every
        if path.is_file()
        and (pattern or path.suffix.lower() in SUFFIXES)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not files:
        wanted = pattern or " ".join(sorted(SUFFIXES))
        raise DataError(f"{config['name']}: no text files in {folder}; looked for {wanted}")
    size, share = int(number(config, "passage", 2000)), number(config, "test_fraction", 0.1)
    if size < 1 or not 0 < share < 1:
        raise DataError(
            f"{config['name']}: passage is {size} and test_fraction {share}; expected a positive "
            "number and a share in (0, 1)"
        )
    texts = [passage for path in files for passage in passages(read_text(path), size)]
    if len(texts) < 10:
        raise DataError(
            f"{config['name']}: {len(texts)} passages of {size} characters are too few for three "
            "splits: choose a smaller passage"
        )
    num_train = len(texts) - max(1, round(share * len(texts)))
    return Parsed(
        {},
        {},
        {},
        np.arange(num_train),
        np.arange(num_train, len(texts)),
        texts=texts,
        tokenizer=tokenization(config),
    )


def passages(text: str, size: int) -> Iterator[str]:
    """A text in parts of at least `size` characters, each up to the end of a line.

    Together they are the text, but for what is blank behind the last of its words. No part is
    blank: what is blank goes with the words behind it.
    """
    part: list[str] = []
    length = 0
    for line in text.splitlines(keepends=True):
        part.append(line)
        length += len(line)
        if length >= size and not (passage := "".join(part)).isspace():
            yield passage
            part, length = [], 0
    if (rest := "".join(part)).strip():
        yield rest
