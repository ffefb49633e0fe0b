"""Autoencoder: rebuild the input from a narrow code."""

from typing import ClassVar, final

import torch
from jaxtyping import Shaped
from torch import Tensor

from trivium.objectives.latent import LatentAutoencoder, reconstruction_error
from trivium.types import Needs, Paradigm, Terms, Views


@final
class Autoencoder(LatentAutoencoder):
    r"""Rebuild the input from a linear code of the pooled features.

    Hinton and Salakhutdinov 2006, doi 10.1126/science.1127647: $L = \frac{1}{N T} \sum_{i,t}
    d(g(W f(x_i))_t, x_{it})$ over T tokens, d the stem's distance. No canonical reference
    implementation.

    Terms: `loss` (mean over tokens of the stem's distance).
    """

    title: ClassVar[str] = "autoencoder"
    paradigm: ClassVar[Paradigm] = "unsupervised"
    needs: ClassVar[Needs] = Needs(target=True)

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        view = views.views[0]
        prediction, features = self.rebuild(view, view.values)
        return {"loss": reconstruction_error(self.encoder.stem, prediction, view.values, features)}

    @torch.no_grad()
    def pictures(self, views: Views) -> dict[str, Shaped[Tensor, "batch ..."]]:
        """The first view, and its reconstruction."""
        view, stem = views.views[0], self.encoder.stem
        prediction, _ = self.rebuild(view, view.values)
        target = stem.target(view.values)
        return {"input": stem.render(target), "reconstruction": stem.render(prediction)}
