"""Fetch a dataset and write its store."""

from pathlib import Path
from typing import Any


def main(values: dict[str, Any]) -> None:
    """Prepare `values["data"]` in the folder of the stores."""
    from trivium.data.prepare import prepare

    folder = Path(values["stores"]) / values["data"]["name"]
    prepare(values["data"], folder, force=values["overwrite"])
