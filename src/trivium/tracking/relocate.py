"""Repairs the absolute artifact paths of a moved project: `python -m trivium.tracking.relocate`."""

import argparse
import sqlite3
from contextlib import closing
from pathlib import Path

from trivium.tracking.client import project_root

MARK = "/mlruns/artifacts"
COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)


def relocate(root: Path) -> int:
    """Point every artifact path that lies in a project's own `mlruns/` to where it is now.

    Args:
        root: the project's folder, which holds mlruns/mlflow.db.

    Returns:
        How many values were rewritten; paths outside of `mlruns/` stay as they are.

    Raises:
        FileNotFoundError: if there is no tracking database.
    """
    file = root.resolve() / "mlruns" / "mlflow.db"
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} does not exist: {root} is not a project that has tracked runs"
        )
    num_changed = 0
    with closing(sqlite3.connect(file, timeout=60)) as connection, connection:
        for table, column in COLUMNS:
            for old, new in _misplaced(connection, file, table, column):
                update = f"UPDATE {table} SET {column} = ? WHERE {column} = ?"
                num_changed += connection.execute(update, (new, old)).rowcount
    return num_changed


def misplaced(file: Path) -> bool:
    """Whether a tracking database (mlflow.db) names artifacts of another place than its own."""
    with closing(sqlite3.connect(file, timeout=60)) as connection:
        return bool(_misplaced(connection, file.resolve(), *COLUMNS[0]))


def _misplaced(
    connection: sqlite3.Connection, file: Path, table: str, column: str
) -> list[tuple[str, str]]:
    """The values of a column that name another place, with where they are; none without it."""
    if column not in {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}:
        return []
    here = f"{file.parent.parent}{MARK}"
    query = f"SELECT DISTINCT {column} FROM {table} WHERE {column} LIKE ?"
    values = [value for (value,) in connection.execute(query, (f"%{MARK}%",))]
    return [(value, moved) for value in values if (moved := _moved(value, here)) != value]


def _moved(value: str, here: str) -> str:
    """A path or file URI whose part up to `mlruns/artifacts` is replaced; others as they are."""
    before, mark, after = value.rpartition(MARK)
    local = before.startswith(("/", "file:"))
    if not mark or not local or (after and not after.startswith("/")):
        return value
    scheme = "file://" if before.startswith("file:") else ""
    return f"{scheme}{here}{after}"


def main() -> None:
    """Relocate the project in the current folder, or the given one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", type=Path, default=None, help="the project's folder")
    root = parser.parse_args().root or project_root()
    print(f"rewrote {relocate(root)} artifact paths under {root}")


if __name__ == "__main__":
    main()
