import math

import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from trivium.objectives.teacher import Teacher, cosine_momentum


def student():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))


def test_it_starts_as_a_copy_without_gradient_or_dropout():
    module = nn.Sequential(student(), StochasticDepth(0.9, "row"))
    teacher = Teacher(module)
    inputs = torch.randn(5, 3)
    output = teacher(inputs)
    assert not output.requires_grad
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert torch.equal(output, teacher(inputs))
    module.eval(), teacher.copy.eval()
    for own, others in zip(teacher.parameters(), module.parameters(), strict=True):
        assert torch.equal(own, others)
        assert own.data_ptr() != others.data_ptr()


@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_it_follows_by_the_average_and_takes_over_batch_statistics(momentum):
    module = student()
    teacher = Teacher(module)
    before = [parameter.clone() for parameter in teacher.parameters()]
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    module(torch.randn(8, 3))
    teacher.follow(module, momentum)
    for old, own, others in zip(before, teacher.parameters(), module.parameters(), strict=True):
        torch.testing.assert_close(own, momentum * old + (1 - momentum) * others)
    assert torch.equal(teacher.copy[1].running_mean, module[1].running_mean)


def test_a_momentum_outside_the_unit_interval_is_refused():
    module = student()
    with pytest.raises(ValueError, match=r"1\.5"):
        Teacher(module).follow(module, 1.5)


def test_momentum_grows_as_a_half_cosine():
    assert cosine_momentum(0.99, 0.0) == pytest.approx(0.99)
    assert cosine_momentum(0.99, 0.5) == pytest.approx(0.995)
    assert cosine_momentum(0.99, 1.0) == 1
    assert cosine_momentum(0.9, 0.25) == pytest.approx(1 - 0.1 * (math.sqrt(0.5) + 1) / 2)
