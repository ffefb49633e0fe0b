import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trivium.training.optimizer import Constant, WarmupCosine


def test_cosine_is_torchs_after_the_warm_up():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=90, eta_min=0.1)
    schedule = WarmupCosine(warmup=0.1, floor=0.1)
    for step in range(10, 100):
        assert schedule(step / 100) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-6)
        optimiser.step()
        reference.step()


@given(st.floats(0.01, 0.9), st.floats(0, 1), st.floats(0, 1))
def test_factor_stays_between_floor_and_one_and_warms_up_linearly(warmup, floor, progress):
    factor = WarmupCosine(warmup=warmup, floor=floor)(progress)
    if progress < warmup:
        assert factor == pytest.approx(progress / warmup)
    else:
        assert floor - 1e-9 <= factor <= 1 + 1e-9


def test_constant_after_its_warm_up():
    schedule = Constant(warmup=0.5)
    assert [schedule(p) for p in (0.0, 0.25, 0.5, 1.0)] == [0.0, 0.5, 1.0, 1.0]


@pytest.mark.parametrize("wrong", [{"warmup": 1.0}, {"warmup": -0.1}, {"floor": 2.0}])
def test_settings_outside_their_range_are_refused(wrong):
    with pytest.raises(ValueError, match="schedule"):
        WarmupCosine(**wrong)
