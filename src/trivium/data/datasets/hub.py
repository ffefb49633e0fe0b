"""Any labelled or unlabelled picture dataset in parquet files, as the Hugging Face hub has them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from trivium.data.config import section
from trivium.data.datasets.parquet import Table, class_ids, open_table
from trivium.data.datasets.pictures import decode_all
from trivium.data.errors import DataError
from trivium.data.progress import track
from trivium.data.sources.hub import export_parquet
from trivium.data.splits import carve
from trivium.data.writer import Parsed


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:
    """Read `train` and `test` parquet files with a picture column and label columns.

    The config's `columns.image` names the picture column (default `image`), `columns.tasks`
    maps a task to its label column (default `label: label`, empty for none), the main task
    first; `splits` maps `train` and `test` to the dataset's own names. Where `test` maps to
    nothing, a stratified fifth of train becomes test. A local folder without parquet files is
    first loaded by the `datasets` library.

    Raises:
        DataError: files or columns are missing, labels are no classes, or a picture is broken.
    """
    columns = section(config, "columns")
    splits = section(config, "splits") or {"train": "train", "test": "test"}
    if not any(folder.rglob("*.parquet")):
        export_parquet(
            str(folder), scratch / "parquet", {k: str(v or "") for k, v in splits.items()}
        )
        folder = scratch / "parquet"
    tables = [open_table(folder, (ours, str(theirs))) for ours, theirs in splits.items() if theirs]
    total = sum(table.num_rows for table in tables)
    image = str(columns.get("image", "image"))
    pictures = track(_pictures(tables, image), f"decoding {config['name']}", total)
    array, good = decode_all(pictures, total, dict(config), scratch)
    label_columns = columns.get("tasks", {"label": "label"}) or {}
    if not isinstance(label_columns, Mapping):
        raise DataError(f"{config['name']}: columns.tasks must map tasks to columns")
    labels, tasks = {}, {}
    for task, column in label_columns.items():
        labels[task], tasks[task] = class_ids(tables, str(column))
    num_train = tables[0].num_rows
    train, test = np.flatnonzero(good[:num_train]), num_train + np.flatnonzero(good[num_train:])
    notes: tuple[str, ...] = ()
    if len(tables) == 1:
        train, test = carve(train, next(iter(labels.values()), None), 0.2, stream=1)
        notes = ("The source has no test split: a stratified fifth of it is taken as test.",)
    return Parsed({"image": array}, labels, tasks, train, test, notes)


def _pictures(tables: list[Table], column: str) -> Iterator[tuple[str, Path | bytes]]:
    for table in tables:
        for row, value in enumerate(table.values(column)):
            name = f"{table.name}, row {row}"
            encoded = value.get("bytes") if isinstance(value, dict) else value
            if not isinstance(encoded, bytes):
                raise DataError(f"{name}: column {column!r} holds no encoded picture")
            yield name, encoded
