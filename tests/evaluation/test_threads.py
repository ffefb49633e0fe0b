import numpy as np
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from trivium.evaluation.solver import torch_threads


def threads():
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_linear_algebra_has_the_threads_of_torch(monkeypatch):
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(2, user_api="blas"):
        monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
        with torch_threads():
            assert threads() == {1}
        assert torch_threads()(threads)() == {1}
        assert threads() == {2}
