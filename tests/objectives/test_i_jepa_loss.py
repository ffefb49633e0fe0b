"""I-JEPA's distance against closed forms (rel 1e-5)."""

import pytest
import torch

from trivium.encoders.layers import every_token
from trivium.objectives.self_supervised.i_jepa import block_loss


@pytest.mark.parametrize(("difference", "expected"), [(0.0, 0.0), (0.5, 0.125), (-2.0, 1.5)])
def test_loss_of_a_constant_error(difference, expected):
    target = torch.randn(2, 3, 4)
    counted = torch.tensor([[True, True, False], [False, False, False]])
    wrong = torch.where(counted.unsqueeze(-1), target + difference, target + 100)
    assert block_loss(wrong, target, counted).item() == pytest.approx(expected, rel=1e-5, abs=1e-9)
    every = every_token(target)
    assert block_loss(target + difference, target, every).item() == pytest.approx(
        expected, rel=1e-5, abs=1e-9
    )
