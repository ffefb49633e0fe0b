"""MoCo v3 against Algorithm 1 of 2104.02057 in float64 numpy, with its gradient by hand.

Values and gradients agree to a relative 1e-5 (absolute 1e-7). The heads are those of
facebookresearch/moco-v3, `builder.py`.
"""

import math

import numpy as np
import pytest
import torch
from torch import nn

from trivium.objectives.self_supervised.moco_v3 import MoCoV3, contrast
from trivium.objectives.teacher import cosine_momentum


def algorithm_1(query, key, temperature):
    """`ctr(q, k)` and its gradient by q."""
    q, k = query.double().numpy(), key.double().numpy()
    lengths = np.linalg.norm(q, axis=1, keepdims=True)
    unit, k = q / lengths, k / np.linalg.norm(k, axis=1, keepdims=True)
    exponentials = np.exp(unit @ k.T / temperature)
    p = exponentials / exponentials.sum(1, keepdims=True)
    loss = 2 * temperature * -np.log(np.diag(p)).mean()
    by_unit = 2 * (p - np.eye(len(q))) @ k / len(q)
    return loss, (by_unit - unit * (by_unit * unit).sum(1, keepdims=True)) / lengths


@pytest.fixture
def objective(encoder, data):
    """An objective whose momentum copy differs from the trained branch."""
    settings = {"temperature": 0.2, "momentum": 0.9, "hidden_width": 12, "projection_width": 8}
    objective = MoCoV3(encoder, data, **settings)
    for copy in (objective.key.encoder, objective.key.head):
        for parameter in copy.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return objective


@pytest.mark.parametrize("temperature", [0.1, 0.2, 1.0])
def test_loss_and_gradient_equal_the_algorithm(temperature):
    query, key = torch.randn(2, 16, 8)
    expected, gradient = algorithm_1(query, key, temperature)
    query.requires_grad_()
    loss, _ = contrast(query, key, temperature)
    loss.backward()
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(query.grad.numpy(), gradient, rtol=1e-5, atol=1e-7)


def test_step_is_symmetric_and_crosses_the_views(objective, two_views):
    first, second = (view.values for view in two_views.views)

    def query(images):
        features = objective.encoder(images).pooled
        return objective.predictor(objective.projector(features)).detach()

    def key(images):
        features = objective.key.encoder.copy(images).pooled
        return objective.key.head.copy(features).detach()

    there, _ = algorithm_1(query(first), key(second), 0.2)
    back, _ = algorithm_1(query(second), key(first), 0.2)
    assert objective(two_views)["loss"].item() == pytest.approx(there + back, rel=1e-4)


def test_collapsed_features_sit_on_the_plateau(objective):
    loss, _ = contrast(torch.ones(7, 4), torch.ones(7, 4), 0.2)
    assert loss.item() == pytest.approx(0.4 * math.log(7), rel=1e-6)
    assert objective.plateau(7) == pytest.approx(2 * loss.item())


def test_accuracy_counts_own_keys_that_are_nearest():
    assert contrast(torch.eye(4), 3 * torch.eye(4), 0.2)[1] == 1
    assert contrast(torch.eye(4), torch.eye(4)[[0, 1, 3, 2]], 0.2)[1] == 0.5


def test_order_of_the_batch_does_not_matter_but_the_pairs_do():
    query, key = torch.randn(2, 9, 4)
    order = torch.randperm(9)
    loss, _ = contrast(query, key, 0.2)
    torch.testing.assert_close(contrast(query[order], key[order], 0.2)[0], loss)
    assert not torch.isclose(contrast(query, key[order], 0.2)[0], loss)


def test_gradient_reaches_queries_only_and_the_copy_moves_after_the_step(objective, two_views):
    objective(two_views)["loss"].backward()
    copies = [objective.key.encoder, objective.key.head]
    assert all(p.grad is None for copy in copies for p in copy.parameters())
    trained = [objective.encoder, objective.projector]
    old = [p.clone() for copy in copies for p in copy.parameters()]
    torch.optim.SGD([p for p in objective.parameters() if p.requires_grad], lr=0.1).step()
    objective.after_step(0.25)
    m = cosine_momentum(0.9, 0.25)
    new = [p for copy in copies for p in copy.parameters()]
    current = [p for module in trained for p in module.parameters()]
    for before, after, followed in zip(old, new, current, strict=True):
        torch.testing.assert_close(after, m * before + (1 - m) * followed)
        assert not torch.equal(after, before)


def test_heads_are_batch_normalised_throughout(objective):
    for head, num_layers in ((objective.projector, 3), (objective.predictor, 2)):
        kinds = [type(layer) for layer in head.modules() if not list(layer.children())]
        assert kinds.count(nn.Linear) == kinds.count(nn.BatchNorm1d) == num_layers
        output = head(torch.randn(64, head[0].in_features))
        torch.testing.assert_close(output.mean(0), torch.zeros(8), atol=1e-5, rtol=0)


def test_loss_is_computed_in_float32_under_autocast():
    query, key = torch.randn(2, 8, 16)
    expected, _ = contrast(query, key, 0.05)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(contrast(query, key, 0.05)[0], expected)
