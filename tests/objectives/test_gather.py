"""Two ranks with half of the batch each against one process with all of it."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

import ranks
from trivium.objectives.pairs import gather, offset

SCRIPT = Path(__file__).parent / "two_ranks.py"
CASES = Path(__file__).parent / "cases"


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    return ranks.start(SCRIPT, tmp_path_factory.mktemp("ranks"))


@pytest.fixture(scope="module")
def one_process():
    return runpy.run_path(str(SCRIPT))["outcome"](slice(0, 8), lambda values: None)


@pytest.mark.slow
@pytest.mark.parametrize("objective", sorted(path.stem for path in CASES.glob("[a-z]*.py")))
def test_loss_and_gradient_equal_those_of_the_whole_batch(two_ranks, one_process, objective):
    for rank in two_ranks:
        np.testing.assert_allclose(rank[objective], one_process[objective], rtol=1e-5, atol=1e-6)


def test_without_a_group_it_is_the_identity():
    tensor = torch.randn(3, 2, requires_grad=True)
    assert gather(tensor) is tensor
    assert offset(tensor) == 0
