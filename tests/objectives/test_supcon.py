"""SupCon's Eq. 2 against a slow reading of the formula, and against SimCLR."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trivium.objectives.self_supervised.simclr import nt_xent
from trivium.objectives.supervised.supcon import SupCon, supcon


def slow_supcon(first, second, labels, temperature):
    """Eq. 2 of 2004.11362, one anchor and one positive at a time."""
    z = torch.cat([first, second]).double()
    z = z / z.norm(dim=1, keepdim=True)
    y = labels.tolist() * 2
    total = 0.0
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        total_similarity = sum(math.exp(float(z[i] @ z[a]) / temperature) for a in others)
        positives = [p for p in others if y[p] == y[i]]
        logs = [float(z[i] @ z[p]) / temperature - math.log(total_similarity) for p in positives]
        total -= sum(logs) / len(positives)
    return total / len(z)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=8), st.sampled_from([0.07, 0.5]))
def test_equals_the_formula(labels, temperature):
    labels = torch.tensor(labels)
    first, second = torch.randn(2, len(labels), 5, generator=torch.Generator().manual_seed(1))
    loss, _ = supcon(first, second, labels, temperature)
    assert loss.item() == pytest.approx(slow_supcon(first, second, labels, temperature), rel=1e-4)


def test_is_nt_xent_if_every_sample_is_its_own_class():
    first, second = torch.randn(2, 10, 6)
    loss, _ = supcon(first, second, torch.arange(10), 0.3)
    torch.testing.assert_close(loss, nt_xent(first, second, 0.3)[0])


def test_perfect_classes():
    labels = torch.tensor([0, 0, 1, 1])
    z = torch.eye(2)[labels]
    loss, similarity = supcon(z, z, labels, 0.5)
    assert loss.item() == pytest.approx(math.log(3 * math.exp(2) + 4) - 2, rel=1e-6)
    assert similarity.item() == pytest.approx(1)


def test_collapsed_features_sit_on_the_plateau(encoder, data):
    objective = SupCon(encoder, data, temperature=0.1, hidden_width=8, projection_width=4)
    z = torch.ones(6, 4)
    loss, _ = supcon(z, z, torch.tensor([0, 0, 1, 1, 1, 2]), 0.1)
    assert loss.item() == pytest.approx(math.log(11), rel=1e-6)
    assert objective.plateau(6) == pytest.approx(math.log(11))


def test_order_and_names_of_classes_do_not_matter():
    first, second = torch.randn(2, 6, 4)
    labels = torch.tensor([0, 1, 2, 0, 1, 1])
    loss, _ = supcon(first, second, labels, 0.2)
    order = torch.randperm(6)
    torch.testing.assert_close(supcon(first[order], second[order], labels[order], 0.2)[0], loss)
    torch.testing.assert_close(supcon(first, second, 2 - labels, 0.2)[0], loss)


def test_labels_guide_the_loss(encoder, data, two_views):
    objective = SupCon(encoder, data, temperature=0.1, hidden_width=8, projection_width=4)
    relabelled = two_views._replace(labels=torch.arange(6))
    assert objective(two_views)["loss"] != objective(relabelled)["loss"]


def test_loss_is_computed_in_float32_under_autocast():
    first, second = torch.randn(2, 8, 16)
    labels = torch.arange(8) % 3
    expected = supcon(first, second, labels, 0.07)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(supcon(first, second, labels, 0.07)[0], expected[0])
