"""Any labelled or unlabelled picture dataset in parquet files, as the Hugging Face hub has them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from trivium.data.config import section
from trivium.data.datasets.images import decode_all
from trivium.data.datasets.tables import Table, divide, open_tables, read_classes
from trivium.data.errors import DataError
from trivium.data.progress import track
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
    tables = open_tables(folder, config, scratch)
    total = sum(table.num_rows for table in tables)
    image = str(section(config, "columns").get("image", "image"))
    pictures = track(_pictures(tables, image), f"decoding {config['name']}", total)
    array, good = decode_all(pictures, total, dict(config), scratch)
    labels, tasks = read_classes(tables, config)
    train, test, notes = divide(tables, good, next(iter(labels.values()), None))
    return Parsed({"image": array}, labels, tasks, train, test, notes)


def _pictures(tables: list[Table], column: str) -> Iterator[tuple[str, Path | bytes]]:
    for table in tables:
        for row, value in enumerate(table.values(column)):
            name = f"{table.name}, row {row}"
            encoded = value.get("bytes") if isinstance(value, dict) else value
            if not isinstance(encoded, bytes):
                raise DataError(f"{name}: column {column!r} holds no encoded picture")
            yield name, encoded
