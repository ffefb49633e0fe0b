import pytest
import torch

from trivium.probes.memory import Memory


class Diagonal:
    def __init__(self, values):
        self.values = values

    def apply(self, vectors):
        return vectors * self.values[:, None]

    def keep(self, rows):
        return Diagonal(self.values[rows])


def two_loops(gradient, pairs, inverse):
    """Nocedal and Wright (2006), Algorithm 7.4, with a start scaled by the last pair."""
    rest, shares = gradient.clone(), []
    for step, change in reversed(pairs):
        share = step @ rest / (step @ change)
        rest, shares = rest - share * change, [share, *shares]
    scale = 1.0
    if pairs:
        step, change = pairs[-1]
        scale = (step @ change) / (change @ (inverse * change))
    rest = scale * inverse * rest
    for (step, change), share in zip(pairs, shares, strict=True):
        rest = rest + step * (share - change @ rest / (step @ change))
    return -rest


@pytest.mark.parametrize("num_pairs", [0, 1, 3, 5, 8, 13])
def test_directions_are_those_of_the_two_loop_recursion(num_pairs):
    inverse = torch.rand(2, 9, dtype=torch.float64) + 0.1
    memory = Memory(Diagonal(torch.ones_like(inverse)), inverse, 5)
    root = torch.randn(2, 9, 9, dtype=torch.float64)
    matrices, pairs = root @ root.mT + torch.eye(9), []
    for _ in range(num_pairs):
        step = torch.randn(2, 9, dtype=torch.float64)
        pairs.append((step, (matrices @ step[..., None])[..., 0]))
        memory.append(*pairs[-1])
    memory.renew(Diagonal(inverse))
    gradient = torch.randn(2, 9, dtype=torch.float64)
    found = memory.direction(gradient)
    for row in range(2):
        own = [(step[row], change[row]) for step, change in pairs[-5:]]
        expected = two_loops(gradient[row], own, inverse[row])
        torch.testing.assert_close(found[row], expected, rtol=1e-8, atol=1e-8)


def test_a_pair_without_curvature_changes_nothing():
    like = torch.ones(1, 4, dtype=torch.float64)
    memory, gradient = Memory(Diagonal(like), like, 3), torch.randn(1, 4, dtype=torch.float64)
    step = torch.randn(1, 4, dtype=torch.float64)
    memory.append(step, step * 2)
    before = memory.direction(gradient)
    memory.append(step, -step)
    torch.testing.assert_close(memory.direction(gradient), before)


def test_dropping_problems_keeps_the_others():
    inverse = torch.rand(3, 6, dtype=torch.float64) + 0.1
    memory, gradient = Memory(Diagonal(inverse), inverse, 4), torch.randn(3, 6).double()
    for _ in range(6):
        step = torch.randn(3, 6, dtype=torch.float64)
        memory.append(step, step * 2)
    whole, rows = memory.direction(gradient), torch.tensor([2, 0])
    memory.keep(rows)
    torch.testing.assert_close(memory.direction(gradient[rows]), whole[rows])
