"""SimCLR: contrast two views of one sample with all the others."""

import math
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from trivium.objectives.heads import MLP, project
from trivium.objectives.pairs import gather, offset
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, Views


@final
class SimCLR(Objective):
    r"""Find the other view of a sample among the 2N - 1 other views (Chen et al. 2020).

    NT-Xent, arXiv 2002.05709, Eq. 1, mean over the 2N anchors:
    $L_{ij} = -\log \frac{\exp(z_i \cdot z_j / \tau)}{\sum_{k \neq i} \exp(z_i \cdot z_k / \tau)}$
    with z of unit length, gathered over all ranks with their gradient. Reference:
    github.com/google-research/simclr, `objective.py`; here the projector's last layer is not
    batch-normalised.

    Terms: `loss` (nats), `accuracy` (the other view is the nearest, in [0, 1]).
    """

    title: ClassVar[str] = "SimCLR"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(num_views=2)

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        temperature: float,
        hidden_width: int,
        projection_width: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.temperature = temperature
        self.projector = MLP(encoder.width, hidden_width, projection_width)

    def forward(self, views: Views) -> Terms:
        """One step on two views; see the class for the terms."""
        first, second = project(self.encoder, self.projector, *views.views)
        loss, accuracy = nt_xent(first, second, self.temperature)
        return {"loss": loss, "accuracy": accuracy}

    def plateau(self, batch_size: int) -> float:
        """ln(2N - 1): the loss of collapsed features."""
        return math.log(2 * batch_size - 1)


def nt_xent(
    first: Float[Tensor, "batch channel"],
    second: Float[Tensor, "batch channel"],
    temperature: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Eq. 1 over both views of all ranks, and how often the positive is the most similar."""
    rows = torch.arange(len(first), device=first.device) + offset(first)
    first, second = F.normalize(first, dim=1), F.normalize(second, dim=1)
    keys = torch.cat([gather(first), gather(second)])
    num_rows = len(keys) // 2
    with torch.autocast(first.device.type, enabled=False):
        logits = torch.cat([first, second]) @ keys.T / temperature
    itself = torch.cat([rows, rows + num_rows])
    positive = torch.cat([rows + num_rows, rows])
    logits = logits.scatter(1, itself[:, None], -torch.inf)
    accuracy = (logits.detach().argmax(1) == positive).float().mean()
    return F.cross_entropy(logits, positive), accuracy
