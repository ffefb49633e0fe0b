"""VICReg: views agree, channels vary, and no two channels say the same."""

import math
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from trivium.objectives.heads import MLP, project
from trivium.objectives.pairs import gather
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, Views

EPSILON = 1e-4
"""Added to the variance inside of the square root (2105.04906, section 4.2)."""


@final
class VICReg(Objective):
    r"""Variance, invariance and covariance regularisation (Bardes, Ponce and LeCun 2022).

    arXiv 2105.04906, Eq. 1-6 and Algorithm 1: $L = \lambda s + \mu v + \nu c$ with settings
    `invariance`, `variance` and `covariance`, on projections Z that are not normalised: s is the
    mean squared error over batch and channels; v the mean over channels of $\max(0, 1 -
    \sqrt{\mathrm{Var}(z_j) + 10^{-4}})$, **averaged** over the two views; c the sum of the squared
    covariances off the diagonal over the number of channels, added over the views. Variances and
    covariances are unbiased, over the batch of all ranks. As the authors' code
    (github.com/facebookresearch/vicreg, `main_vicreg.py`) and lightly 1.6.0; Algorithm 1 as printed
    and solo-learn add v over the views: their `variance: 25` is our 50.

    Terms: `loss`, and before their weights `invariance` (s), `variance` (v), `covariance` (c).
    """

    title: ClassVar[str] = "VICReg"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(num_views=2)

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        invariance: float,
        variance: float,
        covariance: float,
        hidden_width: int,
        projection_width: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.invariance, self.variance, self.covariance = invariance, variance, covariance
        widths = (encoder.width, hidden_width, hidden_width, projection_width)
        self.projector = MLP(*widths, last_bias=False)  # no term sees a common shift

    def forward(self, views: Views) -> Terms:
        """One step on two views; see the class for the terms."""
        first, second = project(self.encoder, self.projector, *views.views)
        s, v, c = vicreg(first, second)
        loss = self.invariance * s + self.variance * v + self.covariance * c
        terms = {"invariance": s, "variance": v, "covariance": c}
        return {"loss": loss} | {name: term.detach() for name, term in terms.items()}

    def plateau(self, batch_size: int) -> float:  # noqa: ARG002
        """The hinge of a channel that does not vary, weighted: the loss of collapsed features."""
        return self.variance * (1 - math.sqrt(EPSILON))


def vicreg(
    first: Float[Tensor, "batch channel"], second: Float[Tensor, "batch channel"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, ""]]:
    """Invariance over this rank's pairs, variance and covariance over those of all ranks."""
    invariance = F.mse_loss(first, second)
    views = gather(first), gather(second)
    variance = (hinge(views[0]) + hinge(views[1])) / 2
    return invariance, variance, covariance(views[0]) + covariance(views[1])


def hinge(projections: Float[Tensor, "batch channel"]) -> Float[Tensor, ""]:
    """How far the channels' standard deviations fall short of 1, on average (Eq. 1 and 2)."""
    return F.relu(1 - (projections.var(0) + EPSILON).sqrt()).mean()


def covariance(projections: Float[Tensor, "batch channel"]) -> Float[Tensor, ""]:
    """The sum of the squared covariances off the diagonal over the channels (Eq. 3 and 4)."""
    centred = projections - projections.mean(0)
    with torch.autocast(projections.device.type, enabled=False):
        matrix = centred.T @ centred / (len(centred) - 1)
    return (matrix - matrix.diagonal().diag()).square().sum() / projections.shape[1]
