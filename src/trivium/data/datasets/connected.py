"""Which samples hang together."""

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def connected(keys: Sequence[Iterable[object]]) -> np.ndarray:
    """The group of each sample: samples that share a key, or are linked by others, are one."""
    ids: dict[object, int] = {}
    pairs = [
        (row, ids.setdefault(key, len(ids))) for row, of_row in enumerate(keys) for key in of_row
    ]
    rows, columns = np.array(pairs, np.int64).T
    num = len(keys) + len(ids)
    edges = coo_array((np.ones(len(rows)), (rows, len(keys) + columns)), (num, num))
    _, component = connected_components(edges, directed=False)
    _, groups = np.unique(component[: len(keys)], return_inverse=True)
    return groups.astype(np.int64)
