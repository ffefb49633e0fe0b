import pytest
import torch
from torch import nn

from trivium.objectives.heads import MLP


def test_hidden_layers_are_normalised_and_the_last_is_not():
    kinds = [type(layer) for layer in MLP(4, 8, 8, 2)]
    hidden = [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert kinds == [*hidden, *hidden, nn.Linear]
    assert [type(layer) for layer in MLP(4, 8, 2, batch_norm=False)] == [
        nn.Linear,
        nn.ReLU,
        nn.Linear,
    ]


def test_maps_the_first_width_to_the_last():
    assert MLP(4, 8, 2)(torch.randn(3, 4)).shape == (3, 2)


def test_bias_is_left_to_the_batch_norm():
    assert MLP(4, 8, 2)[0].bias is None
    assert MLP(4, 8, 2, batch_norm=False)[0].bias is not None


def test_a_single_width_is_an_error():
    with pytest.raises(ValueError, match="input and an output width"):
        MLP(4)
