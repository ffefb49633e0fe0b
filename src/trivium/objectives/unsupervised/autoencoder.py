"""Autoencoder: rebuild the input from a narrow code."""

from typing import ClassVar, final

import torch
from jaxtyping import Shaped
from torch import Tensor

from trivium.objectives.latent import LatentHead, reconstruction_error
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, Views


@final
class Autoencoder(Objective):
    r"""Rebuild the input from a linear bottleneck on the pooled features.

    Hinton and Salakhutdinov 2006, doi 10.1126/science.1127647:
    $L = \frac{1}{N T} \sum_{i,t} d(g(W f(x_i))_t, x_{it})$ over T tokens, d being the stem's
    distance (squared error, or cross-entropy). No canonical reference implementation.

    Terms: `loss` (mean over tokens of the stem's distance).
    """

    paradigm: ClassVar[Paradigm] = "unsupervised"
    needs: ClassVar[Needs] = Needs(target=True)

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        latent_width: int,
        decoder_width: int,
        decoder_depth: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.bottleneck = LatentHead(
            encoder,
            latent_width=latent_width,
            decoder_width=decoder_width,
            decoder_depth=decoder_depth,
        )

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        view = views.views[0]
        features = self.encoder(view.values, view.valid)
        prediction = self.bottleneck(features.pooled, self.encoder.stem.length(view.values))
        return {"loss": reconstruction_error(self.encoder.stem, prediction, view.values, features)}

    @torch.no_grad()
    def pictures(self, views: Views) -> dict[str, Shaped[Tensor, "batch ..."]]:
        """The first view, and what the code keeps of it."""
        view, stem = views.views[0], self.encoder.stem
        pooled = self.encoder(view.values, view.valid).pooled
        prediction = self.bottleneck(pooled, stem.length(view.values))
        seen = stem.render(stem.target(view.values))
        return {"input": seen, "reconstruction": stem.render(prediction)}
