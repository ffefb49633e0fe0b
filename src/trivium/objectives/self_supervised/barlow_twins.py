"""Barlow Twins: make the channels of two views agree each with itself and with no other."""

from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from trivium.objectives.heads import MLP, project
from trivium.objectives.pairs import gather
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, Views


@final
class BarlowTwins(Objective):
    r"""Bring the cross-correlation of two views close to the identity (Zbontar et al. 2021).

    arXiv 2103.03230, Eq. 1 and 2, Algorithm 1: $L = \sum_i (1 - C_{ii})^2 +
    \lambda \sum_i \sum_{j \neq i} C_{ij}^2$ with $C = \hat{Z}_1^T \hat{Z}_2 / N$ of projections
    normalised over the batch of all ranks (biased variance plus 1e-5). $\lambda$ is `redundancy`.
    Reference: github.com/facebookresearch/barlowtwins, `main.py`; solo-learn multiplies the loss by
    0.1 or less.

    Terms: `loss`, `invariance` (the sum over the diagonal), `redundancy` (the sum off the diagonal,
    before lambda).
    """

    title: ClassVar[str] = "Barlow Twins"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(num_views=2)

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        redundancy: float,
        hidden_width: int,
        projection_width: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.redundancy = redundancy
        self.projection_width = projection_width
        widths = (encoder.width, hidden_width, hidden_width, projection_width)
        self.projector = MLP(*widths, last_bias=False)  # the batch takes any shift away

    def forward(self, views: Views) -> Terms:
        """One step on two views; see the class for the terms."""
        first, second = project(self.encoder, self.projector, *views.views)
        return barlow_twins(first, second, self.redundancy)

    def plateau(self, batch_size: int) -> float:  # noqa: ARG002
        """The number of channels: constant projections do not correlate at all."""
        return float(self.projection_width)


def barlow_twins(
    first: Float[Tensor, "batch channel"],
    second: Float[Tensor, "batch channel"],
    redundancy: float,
) -> Terms:
    """Eq. 1 over the batch of all ranks: the loss and its two sums, as the class says."""
    first, second = (
        F.batch_norm(gather(projections), None, None, training=True)
        for projections in (first, second)
    )
    with torch.autocast(first.device.type, enabled=False):
        correlation = first.T @ second / len(first)
    diagonal = correlation.diagonal()
    on = (1 - diagonal).square().sum()
    off = (correlation - diagonal.diag()).square().sum()
    loss = on + redundancy * off
    return {"loss": loss, "invariance": on.detach(), "redundancy": off.detach()}
