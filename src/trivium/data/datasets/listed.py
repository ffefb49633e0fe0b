"""Tables in csv, tsv and jsonl files."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trivium.data.errors import DataError

LINES = (".jsonl", ".ndjson")
TABLES = (".csv", ".tsv", *LINES)
"""Kinds of files."""


class Listed:
    """A csv, tsv or jsonl file, which is read whole.

    Args:
        path: The file.
        texts: Columns of a csv file that hold texts, even where they look like numbers.

    Raises:
        DataError: it is no such table.
    """

    def __init__(self, path: Path, texts: Sequence[str]) -> None:
        self.name = path.name
        read = _read_lines if path.suffix.lower() in LINES else _read_csv
        self.columns, self.num_rows = read(path, texts)

    def values(self, column: str) -> Iterator[Any]:
        """The column's values; None where a cell is empty.

        Raises:
            DataError: there is no such column.
        """
        if column not in self.columns:
            known = ", ".join(self.columns)
            raise DataError(f"{self.name}: no column {column!r}; it has: {known}")
        yield from self.columns[column]

    def class_names(self, column: str) -> None:  # noqa: ARG002
        """There are none."""
        return


def _read_csv(path: Path, texts: Sequence[str]) -> tuple[dict[str, list[Any]], int]:
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import csv

    try:
        table = csv.read_csv(
            path,
            parse_options=csv.ParseOptions(
                delimiter="\t" if path.suffix.lower() == ".tsv" else ",", newlines_in_values=True
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(texts, pyarrow.string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} is no table ({error}): correct it") from error
    return table.to_pydict(), table.num_rows


def _read_lines(path: Path, texts: Sequence[str]) -> tuple[dict[str, list[Any]], int]:  # noqa: ARG001
    rows: list[dict[str, Any]] = []
    try:
        for line in path.read_text(encoding="utf-8-sig").split("\n"):
            if line.strip():
                rows += [{**json.loads(line)}]
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: row {len(rows)} is no mapping in json ({error})") from error
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}, len(rows)
