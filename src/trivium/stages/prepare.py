"""Fetch a dataset and write its store."""

from typing import TYPE_CHECKING

from trivium.config import Config
from trivium.identity import store_folder

if TYPE_CHECKING:
    from trivium.data.store import Store


def main(values: Config) -> None:
    """Prepare the data of a config in the folder of the stores."""
    from trivium.data.prepare import prepare

    prepare(values["data"], store_folder(values), force=values["overwrite"])


def open_store(values: Config) -> "tuple[Store, Store]":
    """The store of a config's data, prepared if it is not there, and the part that it asks for."""
    from trivium.data.prepare import prepare

    whole = prepare(values["data"], store_folder(values))
    return whole, whole if values["part"] is None else whole.part(values["part"])
