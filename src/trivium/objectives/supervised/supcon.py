"""SupCon: supervised contrastive learning."""

import math
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from trivium.objectives.heads import MLP, project
from trivium.objectives.pairs import gather, offset
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, Views


@final
class SupCon(Objective):
    r"""Pull together all views of one class, push away the rest (Khosla et al. 2020).

    arXiv 2004.11362, Eq. 2 ($L_{out}$), mean over the 2N anchors:
    $L = \frac{1}{2N} \sum_i \frac{-1}{|P(i)|} \sum_{p \in P(i)}
    \log \frac{\exp(z_i \cdot z_p / \tau)}{\sum_{a \neq i} \exp(z_i \cdot z_a / \tau)}$
    with P(i) all other views of i's class. Reference: github.com/HobbitLong/SupContrast,
    `SupConLoss(contrast_mode="all")`, without its factor temperature / base_temperature.

    Terms: `loss` (nats), `positive_similarity` (mean cosine of an anchor with its class).
    """

    title: ClassVar[str] = "SupCon"
    paradigm: ClassVar[Paradigm] = "supervised"
    needs: ClassVar[Needs] = Needs(labels=True, num_views=2)

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
        assert views.labels is not None
        first, second = project(self.encoder, self.projector, *views.views)
        loss, similarity = supcon(first, second, views.labels, self.temperature)
        return {"loss": loss, "positive_similarity": similarity.detach()}

    def plateau(self, batch_size: int) -> float:
        """ln(2N - 1): the loss of collapsed features."""
        return math.log(2 * batch_size - 1)


def supcon(
    first: Float[Tensor, "batch channel"],
    second: Float[Tensor, "batch channel"],
    labels: Int64[Tensor, " batch"],
    temperature: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Eq. 2 over both views of all ranks, and the mean cosine of the positive pairs."""
    rows = torch.arange(len(labels), device=labels.device) + offset(labels)
    first, second = F.normalize(first, dim=1), F.normalize(second, dim=1)
    all_labels = gather(labels).repeat(2)
    num_rows = len(all_labels) // 2
    with torch.autocast(first.device.type, enabled=False):
        cosine = torch.cat([first, second]) @ torch.cat([gather(first), gather(second)]).T
    itself = F.one_hot(torch.cat([rows, rows + num_rows]), 2 * num_rows).bool()
    positive = (labels.repeat(2)[:, None] == all_labels) & ~itself
    log_p = (cosine / temperature).masked_fill(itself, -torch.inf).log_softmax(1)
    num_positives = positive.sum(1)
    loss = -(log_p.masked_fill(~positive, 0).sum(1) / num_positives).mean()
    return loss, ((cosine * positive).sum(1) / num_positives).mean()
