"""Denoising autoencoder: rebuild the clean input from a corrupted one."""

from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from trivium.objectives.latent import LatentHead, reconstruction_error
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, Views


@final
class DenoisingAutoencoder(Objective):
    r"""Rebuild the clean input from a code of its corrupted self (Vincent et al. 2008).

    doi 10.1145/1390156.1390294, section 2.3: $L = \frac{1}{N T} \sum_{i,t}
    d(g(W f(\tilde{x}_i))_t, x_{it})$ over T tokens, d being the stem's distance. The corruption
    first adds gaussian noise of standard deviation `noise` (Vincent et al. 2010, JMLR 11, pages
    3371-3408) and then sets a random share `masking` of the values to 0, as in the paper of
    2008; of log-mel, which knows no natural zero, to the mean of the train split. The loss counts
    all values, corrupted or not. No canonical reference implementation.

    Its target is made of the data by corruption, so that it is also claimed as self-supervised;
    it stands with the unsupervised objectives because it models the whole input.

    Terms: `loss` (mean over tokens of the stem's distance).
    """

    paradigm: ClassVar[Paradigm] = "unsupervised"
    needs: ClassVar[Needs] = Needs(target=True, modalities=("image", "audio"))

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,
        *,
        latent_width: int,
        decoder_width: int,
        decoder_depth: int,
        noise: float,
        masking: float,
    ) -> None:
        """`noise` is in the range of the view's values; `masking` is a share in [0, 1).

        Raises:
            ValueError: Both are 0 (nothing is corrupted), or one is out of its range.
        """
        super().__init__()
        if noise < 0 or not 0 <= masking < 1 or noise == masking == 0:
            raise ValueError(
                f"denoising needs a noise >= 0 and a masking in [0, 1), not both 0, but got "
                f"{noise} and {masking}: without corruption choose the objective autoencoder."
            )
        self.encoder, self.noise, self.masking = encoder, noise, masking
        self.blank = data.mean[0] if encoder.column == "mel" else 0.0
        self.bottleneck = LatentHead(
            encoder,
            latent_width=latent_width,
            decoder_width=decoder_width,
            decoder_depth=decoder_depth,
        )

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        view = views.views[0]
        features = self.encoder(self.corrupt(view.values, view.valid), view.valid)
        length = self.encoder.stem.length(view.values)
        prediction = self.bottleneck(features.pooled, length)
        return {"loss": reconstruction_error(self.encoder.stem, prediction, view.values, features)}

    def corrupt(
        self, values: Shaped[Tensor, "batch ..."], valid: Bool[Tensor, "batch length"] | None = None
    ) -> Float[Tensor, "batch ..."]:
        """Add noise to the values and set a share of them to 0 (of log-mel, to the mean).

        What stands behind the end of a clip stays as it is.

        Raises:
            ValueError: The values are no real numbers but ids, which noise would turn into
                others without a meaning.
        """
        if not values.is_floating_point():
            raise ValueError(
                "denoising_autoencoder corrupts real values, but these inputs are ids: choose "
                "an objective that hides tokens, or the objective autoencoder."
            )
        noisy = values + self.noise * torch.randn_like(values)
        corrupted = noisy.masked_fill(torch.rand_like(values) < self.masking, self.blank)
        if valid is None or self.encoder.modality != "audio":
            return corrupted
        heard = valid if values.ndim == 2 else valid[:, None, :, None]
        return torch.where(heard, corrupted, values)

    @torch.no_grad()
    def pictures(self, views: Views) -> dict[str, Shaped[Tensor, "batch ..."]]:
        """The first view, its corrupted self, and what is rebuilt from that."""
        view, stem = views.views[0], self.encoder.stem
        corrupted = self.corrupt(view.values, view.valid)
        pooled = self.encoder(corrupted, view.valid).pooled
        prediction = self.bottleneck(pooled, stem.length(view.values))
        return {
            "input": stem.render(stem.target(view.values)),
            "corrupted": stem.render(stem.target(corrupted)),
            "reconstruction": stem.render(prediction),
        }
