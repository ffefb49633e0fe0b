"""Cosine similarity of dense and of sparse features."""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

from trivium.probes.inputs import SparseFeatures

CHUNK = 256

Directions: TypeAlias = Tensor | SparseFeatures
"""Features [item, channel] of unit length, float32; a row of zeros stays one."""


def directions(features: np.ndarray | SparseFeatures) -> Directions:
    """Features scaled to unit length."""
    if isinstance(features, np.ndarray):
        return torch.nn.functional.normalize(torch.from_numpy(features.astype(np.float32)), dim=1)
    norms = sparse.linalg.norm(features, axis=1)
    inverse = np.divide(1, norms, out=np.zeros(len(norms)), where=norms > 0)
    return sparse.csr_array(sparse.diags_array(inverse) @ features).astype(np.float32)


def joined(first: Directions, second: Directions) -> Directions:
    """The items of both."""
    if isinstance(first, Tensor):
        return torch.cat([first, second])
    return sparse.vstack([first, second], format="csr")


def similarities(queries: Directions, items: Directions) -> Iterator[Float[Tensor, "query item"]]:
    """The similarity of all items to a few queries at a time; each block replaces the last."""
    if isinstance(items, Tensor):
        # NumPy's product into memory that is used again: several times as fast as a new tensor.
        found = torch.empty(min(CHUNK, len(queries)), len(items))
        for some in torch.split(queries, CHUNK):
            block = found[: len(some)]
            np.matmul(some.numpy(), items.numpy().T, out=block.numpy())
            yield block
        return
    across = items.T.tocsr()
    for first in range(0, queries.shape[0], CHUNK):
        yield torch.from_numpy((queries[first : first + CHUNK] @ across).toarray())
