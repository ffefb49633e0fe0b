"""Denoising autoencoder: rebuild the clean input from a corrupted one."""

from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from trivium.objectives.latent import LatentAutoencoder, reconstruction_error
from trivium.types import DataSpec, Encoder, Needs, Paradigm, Terms, Views


@final
class DenoisingAutoencoder(LatentAutoencoder):
    r"""Rebuild the clean input from a code of its corrupted self (Vincent et al. 2008).

    doi 10.1145/1390156.1390294, section 2.3: $L = \frac{1}{N T} \sum_{i,t} d(g(W f(\tilde{x}_i))_t,
    x_{it})$ over T tokens, d the stem's distance. The corruption adds gaussian noise of standard
    deviation `noise` (Vincent et al. 2010, JMLR 11, pages 3371-3408) and sets a random share
    `masking` of the values to 0 (of log-mel, to the mean of the train split). No canonical
    reference implementation. It is also claimed as self-supervised.

    Terms: `loss` (mean over tokens of the stem's distance).
    """

    title: ClassVar[str] = "denoising autoencoder"
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
        super().__init__(
            encoder,
            data,
            latent_width=latent_width,
            decoder_width=decoder_width,
            decoder_depth=decoder_depth,
        )
        if noise < 0 or not 0 <= masking < 1 or noise == masking == 0:
            raise ValueError(
                f"denoising needs a noise >= 0 and a masking in [0, 1), not both 0, but got "
                f"{noise} and {masking}: without corruption choose the objective autoencoder."
            )
        self.noise, self.masking = noise, masking
        self.blank = data.mean[0] if encoder.column == "mel" else 0.0

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        view = views.views[0]
        prediction, features = self.rebuild(view, self.corrupt(view.values, view.valid))
        return {"loss": reconstruction_error(self.encoder.stem, prediction, view.values, features)}

    def corrupt(
        self, values: Shaped[Tensor, "batch ..."], valid: Bool[Tensor, "batch length"] | None = None
    ) -> Float[Tensor, "batch ..."]:
        """Add noise and blank a share of the values; padding stays as it is.

        Raises:
            ValueError: The values are ids.
        """
        if not values.is_floating_point():
            raise ValueError(
                "denoising_autoencoder corrupts real values, but these inputs are ids: choose "
                "an objective that masks tokens, or the objective autoencoder."
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
        prediction, _ = self.rebuild(view, corrupted)
        return {
            "input": stem.render(stem.target(view.values)),
            "corrupted": stem.render(stem.target(corrupted)),
            "reconstruction": stem.render(prediction),
        }
