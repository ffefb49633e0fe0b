"""MoCo v3: find a sample's key, made by a slow copy of the encoder, among those of the batch."""

import math
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.objectives.heads import MLP
from trivium.objectives.pairs import gather, offset
from trivium.objectives.teacher import ProjectingTeacher, cosine_momentum
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, View, Views


@final
class MoCoV3(Objective):
    r"""Match a query with the key of the sample's other view (Chen, Xie and He 2021).

    arXiv 2104.02057, Algorithm 1: $L = c(q_1, k_2) + c(q_2, k_1)$ with $c(q, k) = -\frac{2 \tau}{N}
    \sum_i \log \frac{\exp(q_i \cdot k_i / \tau)}{\sum_j \exp(q_i \cdot k_j / \tau)}$, all of unit
    length. Queries are predictor(projector(encoder)); keys come from a momentum copy of encoder and
    projector; the negatives are the other keys of all ranks' batch. The copy's momentum grows as a
    cosine from `momentum` to 1. Reference: github.com/facebookresearch/moco-v3, `builder.py`, whose
    heads these are; here the patch projection is trained, not frozen (section 4.2).

    Terms: `loss` (nats x 2 tau, both directions added), `accuracy` (a query's nearest key is its
    own, in [0, 1]).
    """

    title: ClassVar[str] = "MoCo v3"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(num_views=2)

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        temperature: float,
        momentum: float,
        hidden_width: int,
        projection_width: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.temperature, self.momentum = temperature, momentum
        self.projector = _head(encoder.width, hidden_width, hidden_width, projection_width)
        self.predictor = _head(projection_width, hidden_width, projection_width)
        self.key = ProjectingTeacher(encoder, self.projector)

    def forward(self, views: Views) -> Terms:
        """One step on two views; see the class for the terms."""
        first, second = views.views
        forwards, hits = contrast(self.query(first), self.key(second), self.temperature)
        backwards, more_hits = contrast(self.query(second), self.key(first), self.temperature)
        return {"loss": forwards + backwards, "accuracy": (hits + more_hits) / 2}

    def query(self, view: View) -> Float[Tensor, "batch projection_width"]:
        """Predictor of projector of encoder, in float32."""
        projection = self.projector(self.encoder(view.values, view.valid).pooled)
        query: Tensor = self.predictor(projection)
        return query.float()

    def after_step(self, progress: float) -> None:
        """Move the momentum encoder and projector towards the trained ones."""
        self.key.follow(self.encoder, self.projector, cosine_momentum(self.momentum, progress))

    def plateau(self, batch_size: int) -> float:
        """4 tau ln N: the loss of collapsed features, 2 tau ln N in each direction."""
        return 4 * self.temperature * math.log(batch_size)


def contrast(
    query: Float[Tensor, "batch channel"],
    key: Float[Tensor, "batch channel"],
    temperature: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """One direction of the loss over this rank's queries, and how often the own key is nearest."""
    own = torch.arange(len(query), device=query.device) + offset(query)
    query, keys = F.normalize(query, dim=1), gather(F.normalize(key, dim=1))
    with torch.autocast(query.device.type, enabled=False):
        logits = query @ keys.T / temperature
    accuracy = (logits.detach().argmax(1) == own).float().mean()
    return 2 * temperature * F.cross_entropy(logits, own), accuracy


def _head(*widths: int) -> nn.Sequential:
    head = MLP(*widths, last_bias=False)  # the normalisation takes any shift away
    return head.append(nn.BatchNorm1d(widths[-1], affine=False))
