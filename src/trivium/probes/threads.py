"""As many threads for NumPy and SciPy as for torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from threadpoolctl import ThreadpoolController


@contextmanager
def torch_threads() -> Iterator[None]:
    """Within it, or a function that it decorates, their linear algebra uses torch's number.

    By itself it takes every core, whatever `torch.set_num_threads` says: jobs side by side would
    then wait for each other.
    """
    with _controller().limit(limits=torch.get_num_threads(), user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
