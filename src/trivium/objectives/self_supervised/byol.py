"""BYOL: predict a slow copy's view of a sample, with nothing to tell it apart from."""

import math
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from trivium.objectives.heads import MLP
from trivium.objectives.teacher import ProjectingTeacher, cosine_momentum
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, View, Views


@final
class BYOL(Objective):
    r"""Predict the target network's projection of the sample's other view (Grill et al. 2020).

    arXiv 2006.07733, Eq. 2 and 3: $L = 4 - 2 \cos(q(z_1), z'_2) - 2 \cos(q(z_2), z'_1)$, mean over
    the batch, in [0, 8]. Only the online branch has a predictor q and a gradient. After every step
    the target's parameters become $\tau \xi + (1 - \tau) \theta$ (Eq. 4), tau growing as a cosine
    from `momentum` to 1. In training both branches normalise by the statistics of the batch, view
    by view and rank by rank; the target's running statistics are the online branch's. Reference:
    github.com/google-deepmind/deepmind-research, `byol`, whose heads these are.

    Terms: `loss` (0 also where it collapsed), `target_std` (see `spread`: about 1, 0 if collapsed).
    """

    title: ClassVar[str] = "BYOL"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(num_views=2)

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        momentum: float,
        hidden_width: int,
        projection_width: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.momentum = momentum
        widths = (hidden_width, projection_width)
        self.projector = MLP(encoder.width, *widths, last_bias=False)  # as in the reference
        self.predictor = MLP(projection_width, *widths, last_bias=False)
        self.target = ProjectingTeacher(encoder, self.projector)

    def forward(self, views: Views) -> Terms:
        """One step on two views; see the class for the terms."""
        first, second = views.views
        targets = self.target(first), self.target(second)
        loss = regression(self.predict(first), targets[1])
        loss = loss + regression(self.predict(second), targets[0])
        return {"loss": loss, "target_std": (spread(targets[0]) + spread(targets[1])) / 2}

    def predict(self, view: View) -> Float[Tensor, "batch projection_width"]:
        """The online branch: predictor of projector of encoder, in float32."""
        projection = self.projector(self.encoder(view.values, view.valid).pooled)
        prediction: Tensor = self.predictor(projection)
        return prediction.float()

    def after_step(self, progress: float) -> None:
        """Eq. 4: move the target network towards the online one."""
        momentum = cosine_momentum(self.momentum, progress)
        self.target.follow(self.encoder, self.projector, momentum)


def regression(
    prediction: Float[Tensor, "batch channel"], target: Float[Tensor, "batch channel"]
) -> Float[Tensor, ""]:
    """Eq. 2: the mean squared distance of the unit vectors, 2 - 2 cos, in [0, 4]."""
    cosine = (F.normalize(prediction, dim=1) * F.normalize(target, dim=1)).sum(1)
    return 2 - 2 * cosine.mean()


def spread(projections: Float[Tensor, "batch channel"]) -> Float[Tensor, ""]:
    """How far the directions of this rank's batch differ, in [0, 1].

    The standard deviation (biased) over the batch of each channel of the unit vectors, averaged
    over the channels, times the square root of their number.
    """
    directions = F.normalize(projections, dim=1)
    deviation = directions.std(dim=0, correction=0).mean()
    return deviation * math.sqrt(projections.shape[1])
