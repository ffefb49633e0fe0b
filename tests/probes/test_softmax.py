import pytest
import torch

from trivium.probes.softmax import SoftmaxRegression


def problem(dtype, scale=1.0, num_items=5000):
    features = torch.randn(num_items, 5, dtype=torch.float64).to(dtype)
    labels = torch.randint(0, 4, (num_items,))
    ridge = torch.rand(3, 5, dtype=torch.float64)
    points = torch.randn(3, 20, dtype=torch.float64).view(3, 4, 5) * scale
    points = (points - points.mean(1, keepdim=True)).flatten(1)
    return SoftmaxRegression(features, labels, ridge, 4), points


def truth(objective, points):
    points = points.clone().requires_grad_()
    weights = points.view(3, 4, 5)
    logits = objective.features.double() @ weights.mT
    labels = objective.labels.expand(3, -1).flatten()
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels, reduction="none")
    penalty = (objective.ridge[:, None] * weights.square()).sum((1, 2)) / 2
    values = losses.view(3, -1).mean(1) + penalty
    (gradients,) = torch.autograd.grad(values.sum(), points)
    return values.detach(), gradients


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_values_and_gradients_are_those_of_autograd(dtype, close):
    objective, points = problem(dtype)
    values, gradients = objective(points, torch.arange(3))
    expected, slopes = truth(objective, points)
    assert torch.allclose(values, expected, rtol=close)
    assert torch.allclose(gradients, slopes, atol=close)


def test_a_subset_of_the_problems_keeps_its_own_penalties():
    objective, points = problem(torch.float64)
    values, gradients = objective(points[[2, 0]], torch.tensor([2, 0]))
    expected, slopes = truth(objective, points)
    assert torch.allclose(values, expected[[2, 0]])
    assert torch.allclose(gradients, slopes[[2, 0]])


def test_tiny_losses_keep_their_relative_precision():
    features = torch.tensor([[30.0, 0.0], [0.0, 30.0]])
    objective = SoftmaxRegression(features, torch.tensor([0, 1]), torch.zeros(1, 2).double(), 2)
    points = torch.tensor([[0.5, -0.5, -0.5, 0.5]]).double()
    values, _ = objective(points, torch.tensor([0]))
    assert values.item() == pytest.approx(torch.tensor(-30.0).double().exp().item(), rel=1e-5)


def test_the_metric_is_the_inverse_hessian_at_zero_on_white_features():
    objective, points = problem(torch.float64)
    white = torch.linalg.qr(objective.features)[0] * len(objective.features) ** 0.5
    objective = SoftmaxRegression(white, objective.labels, objective.ridge, 4)

    def value(point):
        logits = (white @ point.view(4, 5).T).log_softmax(1)
        loss = -logits.gather(1, objective.labels[:, None]).mean()
        return loss + (objective.ridge[1] * point.view(4, 5).square()).sum() / 2

    zero = torch.zeros(20, dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(value, zero)
    metric = objective.metric(zero[None], torch.tensor([1]))
    direction = points[:1]
    image = (hessian @ direction[0])[None, None]
    assert torch.allclose(metric.apply(image)[0, 0], direction[0], atol=1e-9)
