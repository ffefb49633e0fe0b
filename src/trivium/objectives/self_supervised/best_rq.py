"""BEST-RQ: predict the codes that a random, frozen quantiser gives to what is masked."""

import math
from collections.abc import Sequence
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.objectives.masking import MaskedPrediction, MaskTokens, code_terms
from trivium.types import DataSpec, Encoder, Needs, Paradigm, Terms, Views


class RandomQuantiser(nn.Module):
    r"""A random projection and the nearest of random codes; neither is ever trained.

    arXiv 2202.01855, Eq. 1: $y = \arg\min_i \| \mathrm{n}(c_i) - \mathrm{n}(A x) \|$ with
    $\mathrm{n}$ the division by the L2 norm, A a Xavier uniform matrix, c standard normal.

    Args:
        input_width: Values of x.
        num_codes: Codes.
        code_width: Channels of a code.
    """

    projection: Tensor
    codes: Tensor

    def __init__(self, input_width: int, *, num_codes: int, code_width: int) -> None:
        super().__init__()
        projection = nn.init.xavier_uniform_(torch.empty(code_width, input_width))
        self.register_buffer("projection", projection)
        self.register_buffer("codes", F.normalize(torch.randn(num_codes, code_width), dim=1))

    @torch.no_grad()
    def forward(self, values: Float[Tensor, "*batch value"]) -> Int64[Tensor, "*batch"]:
        """The number of the code nearest to each vector's projection."""
        with torch.autocast(values.device.type, enabled=False):
            projected = values.float() @ self.projection.T
            # Codes have length 1: the nearest is the one of the largest product.
            return (projected @ self.codes.T).argmax(-1)


@final
class BestRQ(MaskedPrediction):
    r"""Predict the random code of each masked token (Chiu et al. 2022).

    arXiv 2202.01855, section 3: blocks of tokens are masked, and a linear layer on the encoder's
    outputs there predicts the codes y of the unmasked input, $L = -\frac{1}{|M|} \sum_{(i,t) \in M}
    \log p(y_{it} | \tilde{x}_i)$. What is quantised is the stem's target of a token, standardised
    over its values (section 3.1). In the paper normal noise replaces the input; here a learned
    token behind the stem. There is no public reference implementation.

    Terms: `loss` (nats per masked token), `accuracy` (on masked tokens, in [0, 1]), `perplexity`
    (of the targets of this rank's batch, 1 to K; near 1 the quantiser says nothing).
    """

    title: ClassVar[str] = "BEST-RQ"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(tokens=True, target=True, modalities=("image", "audio"))

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        num_codes: int,
        code_width: int,
        ratio: float,
        block: Sequence[float | int],
        aspect_ratio: Sequence[float | int],
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.quantiser = RandomQuantiser(
            encoder.stem.target_width, num_codes=num_codes, code_width=code_width
        )
        self.masking = MaskTokens(
            encoder.token_width, ratio=ratio, block=block, aspect_ratio=aspect_ratio
        )
        self.predictor = nn.Linear(encoder.token_width, num_codes)

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        view = views.views[0]
        tokens, mask = self.masked(view)
        scores = self.predictor(self.encode(tokens, mask)[mask.mask]).float()
        target = self.encoder.stem.target(view.values, normalise=True)
        return code_terms(scores, self.quantiser(target[mask.mask]))

    def plateau(self, batch_size: int) -> float:  # noqa: ARG002
        """Ln K: the loss of a uniform guess."""
        return math.log(len(self.quantiser.codes))
