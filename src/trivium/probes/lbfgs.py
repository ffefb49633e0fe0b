"""L-BFGS over many smooth convex problems at once, each with its own metric and step size."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from trivium.probes.memory import Memory, Metric

SUFFICIENT, STEEP = 1e-4, 0.9
PATIENCE = 2
MAX_TRIALS = 20
REFRESHES = frozenset({0, 2, 5, 10, 20, 40, 80, 160, 320, 640})


@runtime_checkable
class Objective(Protocol):
    """Several independent functions that are evaluated together.

    `noise` is the relative size of rounding errors in the values.
    """

    noise: float

    def __call__(self, points: Tensor, problems: Tensor) -> tuple[Tensor, Tensor]:
        """Values [active] and gradients [active, parameter] of `problems` at `points`."""

    def metric(self, points: Tensor, problems: Tensor) -> Metric:
        """The approximate inverse Hessians of `problems` at `points`."""


@dataclass(frozen=True)
class Solution:
    """Where each problem ended.

    `decrement` estimates how far the value lies above its minimum, relative to the value;
    `converged` says that this stayed below the tolerance.
    """

    points: Float[Tensor, "problem parameter"]
    values: Float[Tensor, " problem"]
    decrement: Float[Tensor, " problem"]
    converged: Bool[Tensor, " problem"]
    num_iterations: Int64[Tensor, " problem"]

    @classmethod
    def at(cls, start: Float[Tensor, "problem parameter"]) -> "Solution":
        """Before the first iteration."""
        values = torch.full_like(start[:, 0], torch.inf)
        count = torch.zeros_like(values, dtype=torch.int64)
        return cls(start.clone(), values, values.clone(), count > 0, count)

    def take(self, rows: Int64[Tensor, " some"], found: "Solution") -> None:
        """Let some problems go on to where another solve, which began at their points, ended."""
        self.points[rows], self.values[rows] = found.points, found.values
        self.decrement[rows], self.converged[rows] = found.decrement, found.converged
        self.num_iterations[rows] += found.num_iterations


def minimise(
    objective: Objective,
    start: Float[Tensor, "problem parameter"],
    *,
    tolerance: float,
    max_iterations: int,
    memory_size: int = 20,
) -> Solution:
    """Minimise several smooth, strictly convex functions together.

    Limited-memory BFGS (Liu and Nocedal 1989) whose start is the objective's own metric,
    computed anew ever more seldom, with a backtracking line search for each problem. A problem
    is done when its Newton decrement `-g.d / 2`, an estimate of the distance to the minimum,
    stays below `tolerance` times its value; from then on it costs nothing.

    Args:
        objective: The functions.
        start: Where each one begins, float64.
        tolerance: Relative distance to the minimum.
        max_iterations: After so many the remaining problems are returned as not converged.
        memory_size: Pairs of steps and gradient changes that are remembered.

    Returns:
        The last and best point of each problem.
    """
    final = Solution.at(start)
    problems, calm = torch.arange(len(start), device=start.device), final.num_iterations.clone()
    points, (values, gradients) = start, objective(start, problems)
    memory = Memory(objective.metric(points, problems), points, memory_size)
    for iteration in range(max_iterations + 1):
        if iteration in REFRESHES and iteration > 0:
            memory.renew(objective.metric(points, problems))
        directions = memory.direction(gradients)
        slopes = (directions * gradients).sum(1)
        decrement = -slopes / 2 / values.abs().clamp_min(torch.finfo(values.dtype).tiny)
        calm = torch.where(decrement <= tolerance, calm + 1, 0)
        final.points[problems], final.values[problems] = points, values
        final.decrement[problems], final.num_iterations[problems] = decrement, iteration
        final.converged[problems] = calm >= PATIENCE
        if iteration == max_iterations or bool((calm >= PATIENCE).all()):
            break
        moved = _search(objective, problems, points, values, gradients, directions, slopes)
        final.converged[problems[~moved.found]] = decrement[~moved.found] <= 10 * tolerance
        memory.append(moved.points - points, moved.gradients - gradients)
        rows = ((calm < PATIENCE) & moved.found).nonzero()[:, 0]
        if len(rows) == 0:
            break
        points, values, gradients = moved.points[rows], moved.values[rows], moved.gradients[rows]
        if len(rows) < len(problems):
            memory.keep(rows)
            problems, calm = problems[rows], calm[rows]
    return final


@dataclass(frozen=True)
class _Moved:
    points: Tensor
    values: Tensor
    gradients: Tensor
    found: Tensor


def _search(
    objective: Objective,
    problems: Tensor,
    points: Tensor,
    values: Tensor,
    gradients: Tensor,
    directions: Tensor,
    slopes: Tensor,
) -> _Moved:
    """Step sizes from 1 on that meet the weak Wolfe conditions, each problem on its own.

    Too long a step is shortened by a cubic, one that still goes down steeply is lengthened; a
    problem that is done is not evaluated again. Where the decrease is lost in rounding it is
    enough that the slope has shrunk: the approximate Wolfe conditions of Hager and Zhang (2005).
    """
    moved = _Moved(points.clone(), values.clone(), gradients.clone(), problems < 0)
    waiting, sizes = torch.arange(len(problems), device=points.device), torch.ones_like(values)
    low, high = torch.zeros_like(sizes), torch.full_like(sizes, torch.inf)
    for _ in range(MAX_TRIALS):
        size, slope, before = sizes[waiting], slopes[waiting], values[waiting]
        trial = points[waiting] + size[:, None] * directions[waiting]
        value, gradient = objective(trial, problems[waiting])
        after = (gradient * directions[waiting]).sum(1)
        lower = value <= before + SUFFICIENT * size * slope
        level = value <= before + objective.noise * before.abs()
        lower |= level & (after.abs() <= (1 - 2 * SUFFICIENT) * slope.abs())
        rows = waiting[lower]
        moved.points[rows], moved.values[rows] = trial[lower], value[lower]
        moved.gradients[rows], moved.found[rows] = gradient[lower], True
        low[waiting] = torch.where(lower, size, low[waiting])
        high[waiting] = torch.where(lower, high[waiting], size)
        shorter = _shorter(size, before, slope, value, after)
        longer = size * (slope / (slope - after)).clamp(2, 10)
        bounds, top = low[waiting], high[waiting]
        inside = torch.where(lower, (bounds + top) / 2, torch.maximum(shorter, bounds * 1.1))
        sizes[waiting] = torch.where(torch.isinf(top), longer, torch.minimum(inside, top * 0.9))
        waiting = waiting[~(lower & (after >= STEEP * slope))]
        if len(waiting) == 0:
            break
    return moved


def _shorter(size: Tensor, before: Tensor, slope: Tensor, value: Tensor, after: Tensor) -> Tensor:
    """The minimum of the cubic through both ends, kept within 0.1 and 0.5 of the step."""
    bend = slope + after - 3 * (value - before) / size
    root = (bend.square() - slope * after).clamp_min(0).sqrt()
    cubic = size * (1 - (after + root - bend) / (after - slope + 2 * root))
    cubic = torch.nan_to_num(cubic, nan=0.0, posinf=0.0, neginf=0.0)
    return torch.minimum(torch.maximum(cubic, 0.1 * size), 0.5 * size)
