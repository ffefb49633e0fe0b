import torch

from trivium.probes.lbfgs import minimise


class Identity:
    def apply(self, vectors):
        return vectors

    def keep(self, rows):
        return self


class Quadratics:
    """1/2 x'Ax - b'x with a condition number of 1e4 and problems of different scale."""

    noise = 1e-12

    def __init__(self, num_problems, width):
        turn = torch.linalg.qr(torch.randn(num_problems, width, width, dtype=torch.float64))[0]
        values = torch.logspace(0, -4, width, dtype=torch.float64)
        scale = torch.logspace(-1, 1, num_problems, dtype=torch.float64)[:, None, None]
        self.matrices = scale * (turn * values) @ turn.mT
        self.truth = torch.randn(num_problems, width, dtype=torch.float64)
        self.right = (self.matrices @ self.truth[..., None])[..., 0]
        self.asked = torch.zeros(num_problems, dtype=torch.int64)

    def __call__(self, points, problems):
        self.asked[problems] += 1
        product = (self.matrices[problems] @ points[..., None])[..., 0]
        values = (points * (product / 2 - self.right[problems])).sum(1)
        return values, product - self.right[problems]

    def metric(self, points, problems):
        return Identity()


class Rosenbrock(Quadratics):
    """Not convex and with a curved valley: the line search must work."""

    def __init__(self):
        self.asked = torch.zeros(3, dtype=torch.int64)

    def __call__(self, points, problems):
        self.asked[problems] += 1
        points = points.clone().requires_grad_()
        first, second = points.unbind(1)
        values = (1 - first) ** 2 + 100 * (second - first**2) ** 2 + 1
        (gradients,) = torch.autograd.grad(values.sum(), points)
        return values.detach(), gradients


def test_quadratics_reach_their_known_minimum():
    objective = Quadratics(4, 12)
    start = torch.zeros(4, 12, dtype=torch.float64)
    solution = minimise(objective, start, tolerance=1e-11, max_iterations=500)
    assert solution.converged.all()
    assert torch.allclose(solution.points, objective.truth, atol=1e-3)


def test_a_problem_does_not_depend_on_its_neighbours():
    objective = Quadratics(3, 8)
    start = torch.zeros(3, 8, dtype=torch.float64)
    together = minimise(objective, start, tolerance=1e-12, max_iterations=300)
    objective.matrices, objective.right = objective.matrices[1:2], objective.right[1:2]
    alone = minimise(objective, start[1:2], tolerance=1e-12, max_iterations=300)
    assert torch.allclose(together.points[1], alone.points[0], rtol=1e-6)


def test_a_solved_problem_costs_nothing_more():
    objective = Quadratics(2, 30)
    objective.matrices[0] = torch.eye(30)
    minimise(objective, torch.zeros(2, 30).double(), tolerance=1e-12, max_iterations=300)
    assert objective.asked[0] < 6 < objective.asked[1]


def test_curved_valley_needs_and_survives_the_line_search():
    objective = Rosenbrock()
    start = torch.tensor([[-1.2, 1.0], [0.0, 3.0], [2.0, -2.0]]).double()
    solution = minimise(objective, start, tolerance=1e-12, max_iterations=300)
    assert solution.converged.all()
    assert (objective.asked > solution.num_iterations + 1).all()
    assert torch.allclose(solution.points, torch.ones_like(start), atol=1e-4)


def test_the_limit_is_reported():
    objective = Quadratics(2, 30)
    start = torch.zeros(2, 30, dtype=torch.float64)
    solution = minimise(objective, start, tolerance=1e-12, max_iterations=3)
    assert not solution.converged.any()
    assert (solution.num_iterations == 3).all()
