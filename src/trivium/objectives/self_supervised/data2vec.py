"""data2vec: predict the context-rich features of a teacher where the input is masked."""

from collections.abc import Sequence
from typing import ClassVar, cast, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.encoders.layers import is_every_token
from trivium.objectives.masking import MaskedPrediction, MaskTokens, mean_over
from trivium.objectives.teacher import Normalisation, Teacher, average_layers
from trivium.types import DataSpec, Encoder, Needs, Paradigm, Terms, Tokens, Views


@final
class Data2Vec(MaskedPrediction):
    r"""Predict a slow teacher's top layers at masked tokens (Baevski et al. 2022).

    arXiv 2202.03555: the teacher follows as $\Delta \leftarrow \tau \Delta + (1 - \tau) \theta$
    (eq. 1), tau rising linearly from `momentum_start` to `momentum_end` over the first
    `anneal_share` of the budget. Targets are the mean of its top `top_k` blocks' outputs (eq. 2),
    each normalised by `layer` (the paper's vision and text) or `instance` (its speech; better on
    small grids, too). The loss is a smooth L1 (eq. 3) on masked tokens: $(y - f)^2 / 2 \beta$ where
    $|y - f| \le \beta$, else $|y - f| - \beta / 2$; `beta` 0 is the squared error. Teacher and
    student share the embedding (section 3.3), and a linear head regresses from the student's
    output. Reference: github.com/facebookresearch/fairseq, `examples/data2vec`, which sums over
    channels and divides by their root where this is a mean. A cls token has no loss: prefer mean
    pooling.

    Terms: `loss`; `target_std` (standard deviation of the targets over the batch, mean over
    positions and channels).
    """

    title: ClassVar[str] = "data2vec"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(tokens=True)

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        ratio: float,
        block: Sequence[float | int],
        aspect_ratio: Sequence[float | int],
        top_k: int,
        normalise: Normalisation,
        beta: float,
        momentum_start: float,
        momentum_end: float,
        anneal_share: float,
    ) -> None:
        super().__init__()
        if top_k < 1 or not 0 < anneal_share <= 1 or normalise not in ("layer", "instance"):
            raise ValueError(
                "data2vec needs top_k >= 1, anneal_share in (0, 1] and normalise layer or "
                f"instance, but got {top_k}, {anneal_share} and {normalise!r}."
            )
        self.encoder, self.teacher = encoder, Teacher(encoder)
        self.masking = MaskTokens(
            encoder.token_width, ratio=ratio, block=block, aspect_ratio=aspect_ratio
        )
        self.top_k, self.beta = top_k, beta
        self.normalise: Normalisation = normalise
        self.momenta, self.anneal_share = (momentum_start, momentum_end), anneal_share
        self.head = nn.Linear(encoder.token_width, encoder.token_width)

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        tokens, mask = self.masked(views.views[0])
        target = self.target(tokens)
        prediction = self.head(self.encode(tokens, mask)).float()
        loss = regression(prediction, target, mask.mask, self.beta)
        return {"loss": loss, "target_std": target.std(0, correction=0).mean()}

    @torch.no_grad()
    def target(self, tokens: Tokens) -> Float[Tensor, "batch token channel"]:
        """What the teacher makes of all tokens."""
        teacher = cast(Encoder, self.teacher.copy)
        outputs = teacher.layers(Tokens(tokens.values.detach(), tokens.valid))
        valid = None if is_every_token(tokens.valid) else tokens.valid
        return average_layers(outputs[-self.top_k :], self.normalise, valid)

    def after_step(self, progress: float) -> None:
        """The teacher follows (eq. 1)."""
        start, end = self.momenta
        share = min(1.0, progress / self.anneal_share)
        self.teacher.follow(self.encoder, start + (end - start) * share)


def regression(
    prediction: Float[Tensor, "batch token channel"],
    target: Float[Tensor, "batch token channel"],
    counted: Bool[Tensor, "batch token"],
    beta: float,
) -> Float[Tensor, ""]:
    """Eq. 3, mean over the counted tokens and their channels; `beta` 0 is the squared error."""
    if beta > 0:
        distance = F.smooth_l1_loss(prediction, target, reduction="none", beta=beta)
    else:
        distance = F.mse_loss(prediction, target, reduction="none")
    return mean_over(distance.mean(-1), counted)
