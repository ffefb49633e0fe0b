"""VQ-VAE: rebuild the input from discrete codes."""

from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from trivium.encoders.layers import sincos_2d
from trivium.encoders.transformer import Transformer
from trivium.objectives.codebook import Codebook, Quantised, perplexity
from trivium.objectives.latent import mean_over_valid, reconstruction_error
from trivium.types import (
    DataSpec,
    Encoder,
    Features,
    Needs,
    Objective,
    Paradigm,
    Terms,
    View,
    Views,
)


class Coded(NamedTuple):
    """Features, the vectors before quantisation, and what the codebook made of them."""

    features: Features
    before: Float[Tensor, "batch token channel"]
    quantised: Quantised


@final
class VQVAE(Objective):
    r"""Rebuild the input from one discrete code per token (van den Oord et al. 2017).

    arXiv 1711.00937, Eq. 3, with the codebook loss replaced by moving averages (appendix A.1, see
    `Codebook`): $L = d(g(e), x) + \beta \|z - \mathrm{sg}[e]\|^2$ with e the code nearest to z, the
    gradient of e passed straight through to z, both terms averaged over tokens and values, d the
    stem's distance. Reference: `vqvae.py` of github.com/google-deepmind/sonnet. z is a linear map
    of each token where the encoder's tokens are the stem's; else one linear map of the pooled
    features to a vector for each of the stem's tokens. The decoder is a transformer over the codes
    with sin-cos positions. A probe sees the encoder's pooled features, never the codes.

    Terms: `loss`, `reconstruction` (mean over tokens of the stem's distance), `commitment` (before
    beta), `perplexity` (of the batch's codes on all ranks, in [1, num_codes]) and `codes_used` (the
    same of the codebook's running counts).
    """

    title: ClassVar[str] = "VQ-VAE"
    paradigm: ClassVar[Paradigm] = "unsupervised"
    needs: ClassVar[Needs] = Needs(target=True, modalities=("image", "audio"))
    positions: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        num_codes: int,
        code_width: int,
        decay: float,
        commitment: float,
        restart: float,
        decoder_width: int,
        decoder_depth: int,
        decoder_num_heads: int,
    ) -> None:
        super().__init__()
        self.encoder, self.commitment, stem = encoder, commitment, encoder.stem
        self.narrow: nn.Module = nn.Linear(encoder.token_width, code_width)
        if not encoder.contextual:
            self.narrow = nn.Sequential(
                nn.Linear(encoder.width, stem.num_tokens * code_width),
                nn.Unflatten(1, (stem.num_tokens, code_width)),
            )
        self.codebook = Codebook(num_codes, code_width, decay=decay, restart=restart)
        self.enter = nn.Linear(code_width, decoder_width)
        self.register_buffer("positions", sincos_2d(decoder_width, stem.grid), persistent=False)
        self.decoder = Transformer(decoder_width, decoder_depth, decoder_num_heads, init="xavier")
        self.predict = nn.Linear(decoder_width, stem.target_width)

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        view = views.views[0]
        coded = self.quantise(view)
        prediction = self.decode(coded)
        reconstruction = reconstruction_error(
            self.encoder.stem, prediction, view.values, coded.features
        )
        error = (coded.before - coded.quantised.values.view_as(coded.before)).square().mean(-1)
        commitment = mean_over_valid(error, coded.features)
        return {
            "loss": reconstruction + self.commitment * commitment,
            "reconstruction": reconstruction.detach(),
            "commitment": commitment.detach(),
            "perplexity": coded.quantised.perplexity,
            "codes_used": perplexity(self.codebook.counts),
        }

    def quantise(self, view: View) -> Coded:
        """Encode a view and find the codes; the codebook learns only where a step trains."""
        features = self.encoder(view.values, view.valid)
        contextual = self.encoder.contextual
        before = self.narrow(features.tokens if contextual else features.pooled).float()
        valid = features.valid if contextual else before.new_ones(before.shape[:2]).bool()
        learn = self.training and torch.is_grad_enabled()
        return Coded(
            features, before, self.codebook(before.flatten(0, 1), valid.flatten(), learn=learn)
        )

    def decode(self, coded: Coded) -> Float[Tensor, "batch token target_width"]:
        """Predict every token from all codes; the gradient passes straight to `before`."""
        before = coded.before
        passed = before + (coded.quantised.values.view_as(before) - before).detach()
        valid = coded.features.valid if self.encoder.contextual else None
        tokens = self.enter(passed) + self.positions[: before.shape[1]]
        prediction: Tensor = self.predict(self.decoder(tokens, valid))
        return prediction.float()

    @torch.no_grad()
    def pictures(self, views: Views) -> dict[str, Shaped[Tensor, "batch ..."]]:
        """The first view, its reconstruction, and its codes as shades of grey.

        Codes that lie near each other along the codebook's first principal axis have similar
        shades. Where the stem predicts ids there are no shades, and no such row.
        """
        view, stem = views.views[0], self.encoder.stem
        coded = self.quantise(view)
        seen = stem.render(stem.target(view.values))
        rows = {"input": seen, "reconstruction": stem.render(self.decode(coded))}
        if stem.likelihood == "gaussian":
            codes = self.codebook.codes - self.codebook.codes.mean(0)
            axis = torch.linalg.svd(codes, full_matrices=False).Vh[0]
            rank = (codes @ axis).argsort().argsort().float() / max(len(codes) - 1, 1)
            shade = (3 * rank - 1.5)[coded.quantised.ids].view(*coded.before.shape[:2], 1)
            rows["codes"] = stem.render(shade.expand(-1, -1, stem.target_width))
        return rows
