"""Autoencoder: rebuild the input from a narrow code."""

from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trivium.objectives.decoder import TokenDecoder
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, View, Views


@final
class Autoencoder(Objective):
    r"""Rebuild the input from a linear bottleneck on the pooled features.

    $L = \frac{1}{N T} \sum_{i,t} d(g(W f(x_i + \sigma \epsilon_i))_t, x_{it})$ over T tokens, d
    being the stem's distance (squared error, or cross-entropy). With noise 0 it is the plain
    autoencoder (Hinton and Salakhutdinov 2006, doi 10.1126/science.1127647); above 0 the
    denoising one (Vincent et al. 2008, doi 10.1145/1390156.1390294), which is also claimed as
    self-supervised. No canonical reference implementation.

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
        noise: float,
    ) -> None:
        """Noise is a standard deviation in the range of the view's values."""
        super().__init__()
        self.encoder = encoder
        self.noise = noise
        stem = encoder.stem
        self.bottleneck = nn.Linear(encoder.width, latent_width)
        self.decoder = TokenDecoder(
            latent_width,
            stem.num_tokens,
            stem.target_width,
            width=decoder_width,
            depth=decoder_depth,
        )

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        view = views.views[0]
        prediction = self.reconstruct(view)
        stem = self.encoder.stem
        return {"loss": stem.distance(prediction, stem.target(view.values)).mean()}

    def reconstruct(self, view: View) -> Float[Tensor, "batch token target_width"]:
        """Predict the clean view from its (corrupted) self."""
        values = view.values
        if self.noise > 0:
            values = values + self.noise * torch.randn_like(values)
        code = self.bottleneck(self.encoder(values, view.valid).pooled)
        prediction: Tensor = self.decoder(code).float()
        return prediction

    @torch.no_grad()
    def pictures(self, views: Views) -> dict[str, Float[Tensor, "batch channel height width"]]:
        """The first view, and what the code keeps of it."""
        view = views.views[0]
        rebuilt = self.encoder.stem.render(self.reconstruct(view))
        return {"input": view.values, "reconstruction": rebuilt}
