"""SigLIP: say of every two inputs of two modalities whether they belong together."""

import math
from collections.abc import Sequence
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.encoders.towers import Towers
from trivium.objectives.pairs import Match, Pairs
from trivium.types import DataSpec, Needs, Objective, Paradigm, Terms, Views


@final
class SigLIP(Objective):
    r"""Classify every pair of inputs of two modalities on its own (Zhai et al. 2023).

    arXiv 2303.15343, algorithm 1: $L = -\frac{1}{N} \sum_i \sum_j \log \sigma(y_{ij} (t\, a_i \cdot
    b_j + b))$ with y = 1 where i = j, else -1, and a and b the joint features of a sample's two
    modalities; t (its logarithm, from `scale`) and b are learned, the same for all pairs. Sums are
    over all samples of all ranks: each scores its own i. Candidates and `pairs` as in `CLIP`.
    Reference: github.com/google-research/big_vision, `trainers/proj/image_text/siglip.py`. The
    paper begins with b = -10, for batches of ten thousands; without a `bias` it begins here with
    -ln(N - 1), N the samples of the first batch over all ranks.

    Terms, over pairs: `loss` (nats), `accuracy` (the partner is the nearest, over both directions,
    in [0, 1]); `scale`, t; `bias`, b.

    Raises:
        ValueError: `pairs` do not fit the data.
    """

    title: ClassVar[str] = "SigLIP"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    joint: ClassVar[bool] = True
    needs: ClassVar[Needs] = Needs(modalities=("several",))
    encoder: Towers
    begun: Tensor

    def __init__(
        self,
        encoder: Towers,
        data: DataSpec,
        *,
        pairs: Sequence[Sequence[str]] | None,
        scale: float,
        bias: float | None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.pairs = Pairs(data, pairs)
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.bias = nn.Parameter(torch.tensor(float(bias or 0.0)))
        self.register_buffer("begun", torch.tensor(bias is not None))

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        matches = self.pairs(self.encoder, views.views[0].values)
        self.begin(len(matches[0].all_first))
        scale = self.log_scale.exp()
        losses, accuracies = zip(
            *(classify(match, scale, self.bias) for match in matches), strict=True
        )
        return {
            "loss": torch.stack(losses).sum(),
            "accuracy": torch.stack(accuracies).sum(),
            "scale": scale.detach(),
            "bias": self.bias.detach().clone(),
        }

    @torch.no_grad()
    def begin(self, num_samples: int) -> None:
        """Set the bias for batches of so many samples, if this is the first and it was left open.

        Without a branch: that would wait for the device in every step.
        """
        start = -math.log(max(num_samples - 1, 1))
        self.bias.copy_(torch.where(self.begun, self.bias, start))
        self.begun.fill_(True)

    def plateau(self, batch_size: int) -> float:
        """The loss ln N - (N - 1) ln(1 - 1/N): each pair matches with the best constant, 1/N."""
        if batch_size < 2:
            return 0.0
        return math.log(batch_size) - (batch_size - 1) * math.log1p(-1 / batch_size)


def classify(
    match: Match, scale: Float[Tensor, ""], bias: Float[Tensor, ""]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """A pair's share of the loss, and of how often the partner is the nearest."""
    with torch.autocast(match.first.device.type, enabled=False):
        logits = (scale * match.first) @ match.all_second.T + bias
        itself = match.positive[:, None] == torch.arange(logits.shape[1], device=logits.device)
        surprise = -F.logsigmoid(torch.where(itself, logits, -logits))
        losses = surprise.where(match.candidates, 0.0).sum(1)
        back = match.second.detach() @ match.all_first.detach().T
    return match.mean(losses), match.mean(match.hits(logits) + match.hits(back)) / 2
