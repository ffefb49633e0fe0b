"""CLIP: find a picture's caption among all captions, and the reverse; likewise any pair."""

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

MOST = math.log(100)
"""The largest log scale (section 2.5)."""


@final
class CLIP(Objective):
    r"""Tell which inputs of two modalities belong to one sample (Radford et al. 2021).

    arXiv 2103.00020, figure 3, mean over N samples and both directions: $L = -\frac{1}{2N} \sum_i
    \left[ \log \frac{e^{s\, a_i \cdot b_i}}{\sum_j e^{s\, a_i \cdot b_j}} + \log \frac{e^{s\, a_i
    \cdot b_i}}{\sum_j e^{s\, a_j \cdot b_i}} \right]$ with a and b the joint features of a sample's
    two modalities and one learned scale s (starting at 1 / `temperature`, in [1, 100], not
    decayed). The sum over j is over the samples of all ranks, with their gradient; for masked
    candidates see `trivium.objectives.pairs.Pairs`. Of more than two modalities the loss is the
    mean over all pairs, or over `pairs`; those with images alone are ImageBind (arXiv 2305.05665).
    Reference: github.com/mlfoundations/open_clip, `loss.py`.

    Terms, over pairs and directions: `loss` (nats), `accuracy` (the partner is the nearest, in
    [0, 1]); `scale`, s.

    Raises:
        ValueError: `pairs` do not fit the data.
    """

    title: ClassVar[str] = "CLIP"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    joint: ClassVar[bool] = True
    needs: ClassVar[Needs] = Needs(modalities=("several",))
    encoder: Towers

    def __init__(
        self,
        encoder: Towers,
        data: DataSpec,
        *,
        pairs: Sequence[Sequence[str]] | None,
        temperature: float,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.pairs = Pairs(data, pairs)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        scale = self.log_scale.exp()
        matches = self.pairs(self.encoder, views.views[0].values)
        losses, accuracies = zip(*(contrast(match, scale) for match in matches), strict=True)
        return {
            "loss": torch.stack(losses).sum(),
            "accuracy": torch.stack(accuracies).sum(),
            "scale": scale.detach(),
        }

    @torch.no_grad()
    def after_step(self, progress: float) -> None:  # noqa: ARG002
        """Clamp the scale."""
        self.log_scale.clamp_(0.0, MOST)

    def plateau(self, batch_size: int) -> float:
        """The loss ln N: all partners are as likely."""
        return math.log(batch_size)


def contrast(match: Match, scale: Float[Tensor, ""]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """A pair's share of the loss, and of how often the partner is the nearest."""
    losses, hits = [], []
    with torch.autocast(match.first.device.type, enabled=False):
        for rows, columns in (
            (match.first, match.all_second),
            (match.second, match.all_first),
        ):
            logits = ((scale * rows) @ columns.T).masked_fill(~match.candidates, -torch.inf)
            losses.append(F.cross_entropy(logits, match.positive, reduction="none"))
            hits.append(match.hits(logits))
    return match.mean(losses[0] + losses[1]) / 2, match.mean(hits[0] + hits[1]) / 2
