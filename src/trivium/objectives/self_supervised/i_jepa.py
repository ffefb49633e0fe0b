"""I-JEPA: predict the features of hidden blocks from one visible context."""

from collections.abc import Sequence
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.encoders.layers import is_every_token, sincos_2d
from trivium.encoders.transformer import Transformer
from trivium.objectives.masking import mean_over
from trivium.objectives.teacher import Normalisation, Teacher, average_layers
from trivium.transforms.block_masking import Blocks, MultiBlockMasking
from trivium.transforms.masking import gather_tokens
from trivium.types import (
    DataSpec,
    Encoder,
    Features,
    Needs,
    Objective,
    Paradigm,
    Terms,
    Tokens,
    View,
    Views,
)


@final
class IJEPA(Objective):
    r"""Predict a slow teacher's tokens of target blocks from a context (Assran et al. 2023).

    arXiv 2301.08243, section 3: $L = \frac{1}{M} \sum_i D(\hat{s}_{B_i}, s_{B_i})$ over M target
    blocks. The encoder sees the context's tokens only; the teacher (its moving average) sees all,
    and its normalised outputs are the targets. The predictor, a narrow transformer, receives the
    context and mask tokens with sin-cos positions, one block at a time. Reference:
    github.com/facebookresearch/ijepa, `train.py`. As there, D is the smooth L1 of beta 1, and the
    momentum rises linearly from its base to 1. `normalise` is `layer` there; `instance` (each
    channel over a sample's tokens) removes what is the same at all positions, most of a target on
    small grids. The trained encoder is exported, not the teacher. A cls token has no loss: prefer
    mean pooling.

    Terms: `loss`; `target_std` (standard deviation of the targets over the batch, mean over
    positions and channels; towards 0 where the features collapse).
    """

    title: ClassVar[str] = "I-JEPA"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(tokens=True, modalities=("image", "audio"))
    positions: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        num_targets: int,
        target_scale: Sequence[float],
        aspect_ratio: Sequence[float],
        context_scale: Sequence[float],
        momentum: float,
        normalise: Normalisation,
        predictor_width: int,
        predictor_depth: int,
        predictor_num_heads: int,
    ) -> None:
        super().__init__()
        if normalise not in ("layer", "instance"):
            raise ValueError(f"I-JEPA's normalise is layer or instance, got {normalise!r}.")
        self.encoder, self.teacher, self.momentum = encoder, Teacher(encoder), momentum
        self.normalise: Normalisation = normalise
        self.masking = MultiBlockMasking(num_targets, target_scale, aspect_ratio, context_scale)
        self.enter = nn.Linear(encoder.token_width, predictor_width)
        self.mask_token = nn.Parameter(torch.randn(predictor_width) * 0.02)
        positions = sincos_2d(predictor_width, encoder.stem.grid)
        self.register_buffer("positions", positions, persistent=False)
        self.predictor = Transformer(
            predictor_width, predictor_depth, predictor_num_heads, init="xavier"
        )
        self.leave = nn.Linear(predictor_width, encoder.token_width)

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        view = views.views[0]
        tokens = self.encoder.embed(view.values, view.valid)
        blocks = self.draw(tokens)
        context = self.see(tokens, blocks)
        prediction = self.predict(self.encoder.contextualise(context), blocks)
        target = self.target(view)
        wanted = gather_tokens(target, blocks.targets.flatten(1))
        counted = _gather_valid(tokens.valid, blocks.targets.flatten(1))
        if not is_every_token(tokens.valid):
            # A sample whose context is padding throughout has nothing to predict from.
            counted = counted & _gather_valid(tokens.valid, blocks.context).any(1, keepdim=True)
        loss = block_loss(prediction, wanted, counted)
        return {"loss": loss, "target_std": target.std(0, correction=0).mean()}

    def draw(self, tokens: Tokens) -> Blocks:
        """Context and target blocks; sequences may be shorter than the stem's longest."""
        num_samples, length, _ = tokens.values.shape
        plane = self.encoder.stem.plane(length)
        blocks: Blocks = self.masking(num_samples, plane, tokens.values.device)
        return blocks

    def see(self, tokens: Tokens, blocks: Blocks) -> Tokens:
        """The context's tokens; if none of a sample's is valid, they count as if all were."""
        valid = _gather_valid(tokens.valid, blocks.context)
        if not is_every_token(valid):
            valid = valid | ~valid.any(1, keepdim=True)
        return Tokens(gather_tokens(tokens.values, blocks.context), valid, blocks.context)

    def predict(self, context: Features, blocks: Blocks) -> Float[Tensor, "batch token channel"]:
        """The teacher's tokens of all blocks, one block after the other."""
        num_samples, num_blocks, size = blocks.targets.shape
        seen = self.enter(context.tokens) + self.positions[blocks.context]
        seen = seen.repeat_interleave(num_blocks, dim=0)
        hidden = self.mask_token + self.positions[blocks.targets.flatten(0, 1)]
        valid = None
        if not is_every_token(context.valid):
            valid = context.valid.repeat_interleave(num_blocks, dim=0)
            valid = torch.cat([valid, valid.new_ones(len(valid), size)], dim=1)
        predicted = self.predictor(torch.cat([seen, hidden.to(seen.dtype)], dim=1), valid)
        leaving: Tensor = self.leave(predicted[:, -size:])
        return leaving.float().reshape(num_samples, num_blocks * size, -1)

    @torch.no_grad()
    def target(self, view: View) -> Float[Tensor, "batch token channel"]:
        """The teacher's normalised tokens of the whole view."""
        tokens, _, valid = self.teacher(view.values, view.valid)
        return average_layers((tokens,), self.normalise, None if is_every_token(valid) else valid)

    def after_step(self, progress: float) -> None:
        """The teacher follows, the slower the later."""
        self.teacher.follow(self.encoder, self.momentum + (1 - self.momentum) * progress)

    @torch.no_grad()
    def pictures(self, views: Views) -> dict[str, Shaped[Tensor, "batch ..."]]:
        """The first view, its context, and the tokens that are predicted from it."""
        view, stem = views.views[0], self.encoder.stem
        tokens = self.encoder.embed(view.values, view.valid)
        context, targets = self.draw(tokens)
        content = stem.target(view.values)
        rows = {"input": stem.render(content)}
        for name, index in (("context", context), ("targets", targets.flatten(1))):
            shown = torch.zeros(content.shape[:2], dtype=torch.bool, device=content.device)
            shown.scatter_(1, index, True)
            rows[name] = stem.render(content.masked_fill(~shown.unsqueeze(-1), stem.blank))
        return rows


def block_loss(
    prediction: Float[Tensor, "batch token channel"],
    target: Float[Tensor, "batch token channel"],
    counted: Bool[Tensor, "batch token"],
) -> Float[Tensor, ""]:
    """Smooth L1 of beta 1: mean over the counted tokens of all blocks, and over channels."""
    distance = F.smooth_l1_loss(prediction, target, reduction="none").mean(-1)
    if is_every_token(counted):
        return distance.mean()
    return mean_over(distance, counted)


def _gather_valid(valid: Tensor, index: Tensor) -> Tensor:
    if is_every_token(valid):
        return valid[:, :1].expand(-1, index.shape[1])
    return valid.gather(1, index)
