"""data2vec's loss against closed forms (rel 1e-5), and its instance norm against shorter inputs."""

import pytest
import torch

from trivium.objectives.self_supervised.data2vec import regression
from trivium.objectives.teacher import average_layers


def test_instance_norm_leaves_padding_out():
    outputs = tuple(torch.randn(2, 4, 7, 3))
    valid = torch.arange(7) < torch.tensor([7, 5, 4, 2])[:, None]
    ours = average_layers(outputs, "instance", valid)
    for sample, length in enumerate([7, 5, 4, 2]):
        short = tuple(output[sample : sample + 1, :length] for output in outputs)
        expected = average_layers(short, "instance")[0]
        torch.testing.assert_close(ours[sample, :length], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("beta", "difference", "expected"),
    [(2.0, 1.0, 0.25), (2.0, -4.0, 3.0), (1.0, 0.5, 0.125), (0.0, 3.0, 9.0), (2.0, 0.0, 0.0)],
)
def test_loss_counts_masked_tokens_only(beta, difference, expected):
    target = torch.randn(2, 3, 4)
    counted = torch.tensor([[True, False, False], [True, True, False]])
    prediction = torch.where(counted.unsqueeze(-1), target + difference, target + 100)
    prediction.requires_grad_()
    loss = regression(prediction, target, counted, beta)
    assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-9)
    loss.backward()
    assert not prediction.grad[~counted].any()
