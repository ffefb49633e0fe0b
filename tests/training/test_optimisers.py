import pytest
import torch
from torch import nn

from trivium.objectives.self_supervised.mae import MAE
from trivium.training.optimizer import decay_groups


def test_only_matrices_are_decayed(make_objective):
    objective = make_objective(
        MAE, ratio=0.75, normalise=True, decoder_width=16, decoder_depth=1, decoder_num_heads=2
    )
    decayed, kept = decay_groups(objective, 0.05)
    assert decayed["weight_decay"] == 0.05
    assert kept["weight_decay"] == 0.0
    assert all(parameter.ndim >= 2 for parameter in decayed["params"])
    assert any(parameter is objective.mask_token for parameter in kept["params"])
    together = {id(p) for group in (decayed, kept) for p in group["params"]}
    assert together == {id(p) for p in objective.parameters() if p.requires_grad}


def test_learnt_positions_are_not_decayed():
    module = nn.Module()
    module.positions = nn.Parameter(torch.zeros(1, 5, 8))
    module.weight = nn.Parameter(torch.zeros(8, 8))
    decayed, kept = decay_groups(module, 0.1)
    assert [p is module.weight for p in decayed["params"]] == [True]
    assert [p is module.positions for p in kept["params"]] == [True]


def test_nothing_trainable_is_an_error():
    module = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(ValueError, match="no trainable parameter"):
        decay_groups(module, 0.1)
