"""What L-BFGS remembers of several problems, and the directions that follow from it."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Metric(Protocol):
    """A positive definite approximation of each problem's inverse Hessian."""

    def apply(self, vectors: Tensor) -> Tensor:
        """Multiply vectors [active, vector, parameter]."""

    def keep(self, rows: Tensor) -> "Metric":
        """The metric of some of the active problems."""


class Memory:
    """The last steps and gradient changes of every problem, in the compact form.

    Byrd, Nocedal and Schnabel (1994), Eq. 3.13: one small triangular solve per problem instead
    of a loop over the pairs. Pairs lie in a ring, and their inner products are kept, so that a
    new pair costs a few matrix-vector products.

    Args:
        metric: The inverse Hessian that the pairs correct.
        like: Points [problem, parameter]; only shape, dtype and device are used.
        size: Pairs to remember.
    """

    def __init__(self, metric: Metric, like: Float[Tensor, "problem parameter"], size: int) -> None:
        self.metric, self.size, self.count = metric, size, 0
        self.steps = like.new_zeros(len(like), size, like.shape[1])
        self.changes = torch.zeros_like(self.steps)
        self.scaled = torch.zeros_like(self.steps)
        self.cross = like.new_zeros(len(like), size, size)
        self.inner = torch.zeros_like(self.cross)
        self.last = torch.zeros(len(like), dtype=torch.int64, device=like.device)

    def append(
        self,
        step: Float[Tensor, "problem parameter"],
        change: Float[Tensor, "problem parameter"],
    ) -> None:
        """Add one pair per problem; a pair without positive curvature is blanked."""
        bound = 1e-12 * step.norm(dim=1) * change.norm(dim=1)
        keep = ((step * change).sum(1) > bound).to(step.dtype)[:, None]
        slot = self.count % self.size
        self.last = torch.where(keep[:, 0] > 0, slot, self.last)
        self.count += 1
        self.steps[:, slot], self.changes[:, slot] = step * keep, change * keep
        self.scaled[:, slot] = self.metric.apply((change * keep)[:, None])[:, 0]
        new = self.changes[:, slot, :, None]
        self.cross[:, :, slot] = (self.steps @ new)[..., 0]
        self.cross[:, slot] = (self.changes @ self.steps[:, slot, :, None])[..., 0]
        self.inner[:, :, slot] = (self.scaled @ new)[..., 0]
        self.inner[:, slot] = self.inner[:, :, slot]

    def renew(self, metric: Metric) -> None:
        """Exchange the metric; the pairs stay."""
        self.metric = metric
        self.scaled = metric.apply(self.changes)
        self.inner = self.changes @ self.scaled.mT

    def keep(self, rows: Tensor) -> None:
        """Drop the problems that are not in `rows`."""
        self.metric = self.metric.keep(rows)
        self.steps, self.changes = self.steps[rows], self.changes[rows]
        self.scaled, self.cross = self.scaled[rows], self.cross[rows]
        self.inner, self.last = self.inner[rows], self.last[rows]

    def direction(
        self, gradient: Float[Tensor, "problem parameter"]
    ) -> Float[Tensor, "problem parameter"]:
        """Minus the approximate inverse Hessian times the gradient."""
        descent = self.metric.apply(gradient[:, None])[:, 0]
        held = min(self.count, self.size)
        if held == 0:
            return -descent
        scale = self._scale()
        descent = scale[..., 0] * descent
        first = self.count - held
        ring = torch.arange(first, self.count, device=gradient.device) % self.size
        cross = self.cross[:, ring][:, :, ring]
        diagonal = cross.diagonal(dim1=1, dim2=2)
        upper = cross.triu() + torch.diag_embed((diagonal == 0).to(cross.dtype))
        inner = scale * self.inner[:, ring][:, :, ring] + torch.diag_embed(diagonal)
        along_steps = (self.steps @ gradient[..., None])[:, ring]
        along_changes = scale * (self.scaled @ gradient[..., None])[:, ring]
        solved = torch.linalg.solve_triangular(upper, along_steps, upper=True)
        right = inner @ solved - along_changes
        outer = torch.linalg.solve_triangular(upper.mT, right, upper=False)
        share = gradient.new_zeros(len(gradient), self.size, 2)
        share[:, ring] = torch.cat([outer, -scale * solved], 2)
        correction = self.steps.mT @ share[..., :1] + self.scaled.mT @ share[..., 1:]
        return -(descent + correction[..., 0])

    def _scale(self) -> Tensor:
        """How much of the metric the last good pair confirms: `s.y / y.H0 y`, 1 without one."""
        place = (torch.arange(len(self.last), device=self.last.device), self.last, self.last)
        seen, expected = self.cross[place], self.inner[place]
        return torch.where(seen > 0, seen / expected, 1.0)[:, None, None]
