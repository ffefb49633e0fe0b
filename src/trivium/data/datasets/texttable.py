"""Texts in a table: parquet files as the Hugging Face hub has them, csv or jsonl files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trivium.data.config import section
from trivium.data.datasets.layout import tokenization
from trivium.data.datasets.tables import Table, divide, open_tables, read_classes
from trivium.data.errors import DataError
from trivium.data.writer import Parsed


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:
    """Read a text column (or several, joined by line breaks) and label columns.

    The config's `columns.text` names the text column or lists several (default `text`),
    `columns.tasks` maps a task to its label column (default `label: label`, empty for none), the
    main task first; `splits` maps `train` and `test` to the table's own names. Where `test` maps
    to nothing, a stratified fifth of train becomes test. Rows without text are left out.

    Raises:
        DataError: files or columns are missing, a text is no text, or labels are no classes.
    """
    tables = open_tables(folder, config, scratch)
    named = section(config, "columns").get("text", "text")
    columns = [named] if isinstance(named, str) else named
    if not isinstance(columns, list) or not columns:
        raise DataError(f"{config['name']}: columns.text is {named!r}; expected a name or a list")
    texts = [text for table in tables for text in _texts(table, [str(name) for name in columns])]
    labels, tasks = read_classes(tables, config)
    good = np.array([bool(text.strip()) for text in texts])
    train, test, notes = divide(tables, good, next(iter(labels.values()), None))
    if left := int((~good).sum()):
        notes = (*notes, f"{left} rows without text were left out.")
    places = np.cumsum(good) - 1
    return Parsed(
        {},
        {task: ids[good] for task, ids in labels.items()},
        tasks,
        places[train],
        places[test],
        notes,
        texts=[text for text in texts if text.strip()],
        tokenizer=tokenization(config),
    )


def _texts(table: Table, columns: list[str]) -> list[str]:
    parts = [list(table.values(column)) for column in columns]
    for column, values in zip(columns, parts, strict=True):
        odd = next((v for v in values if v is not None and not isinstance(v, str)), None)
        if odd is not None:
            raise DataError(f"{table.name}: column {column!r} holds {odd!r}, which is no text")
    return ["\n".join(value for value in row if value) for row in zip(*parts, strict=True)]
