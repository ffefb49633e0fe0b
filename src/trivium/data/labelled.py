"""A store of which only some items may be learnt from."""

import numpy as np
from jaxtyping import Int64

from trivium.data.store import Store


class Labelled(Store):
    """A store whose train split is some labelled items alone, such as those of a label draw.

    Everything else is as in the store itself.

    Args:
        store: An open store.
        items: What its train split shall be.
    """

    def __init__(self, store: Store, items: Int64[np.ndarray, " item"]) -> None:
        super().__init__(store.folder, store.meta, store.fingerprint)
        self.items = items

    def split(self, name: str) -> Int64[np.ndarray, " index"]:
        """The labelled items as `train`; `validation` and `test` as ever."""
        return self.items if name == "train" else super().split(name)
