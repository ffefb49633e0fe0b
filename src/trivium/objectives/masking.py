"""Masked prediction: mask tokens, what is predicted at them, and a joint decoder."""

from abc import ABC
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.encoders.layers import is_every_token, sincos_2d
from trivium.encoders.towers import Towers
from trivium.encoders.transformer import Transformer, init_linear
from trivium.objectives.codebook import perplexity
from trivium.transforms.block_masking import BlockMasking
from trivium.transforms.masking import Mask, RandomMasking, gather_tokens
from trivium.types import MASK, Features, Modality, Objective, Stem, Tokens, View, Views


class MaskTokens(nn.Module):
    """Blocks of tokens that are replaced by one learned mask token; positions stay.

    Args:
        width: Channels of the tokens.
        ratio: Share of a sample's tokens that is masked, in (0, 1).
        block: Smallest and largest number of tokens of a block; 1 and 1 mask tokens one by one.
        aspect_ratio: Smallest and largest height over width of a block; sequences have spans.
    """

    def __init__(
        self,
        width: int,
        *,
        ratio: float,
        block: Sequence[float | int],
        aspect_ratio: Sequence[float | int] = (1.0, 1.0),
    ) -> None:
        super().__init__()
        self.masking = BlockMasking(ratio, block, aspect_ratio)
        self.token = nn.Parameter(torch.randn(width) * 0.02)

    def draw(self, tokens: Tokens, stem: Stem) -> Mask:
        """Masks over the stem's grid; sequences may be shorter than its longest."""
        num_samples, length, _ = tokens.values.shape
        valid = None if is_every_token(tokens.valid) else tokens.valid
        mask: Mask = self.masking(
            num_samples, stem.plane(length), tokens.values.device, valid=valid
        )
        return mask

    def forward(self, tokens: Tokens, mask: Mask, stem: Stem) -> Tokens:
        """The tokens with mask tokens, at the positions of those that they replace."""
        values = tokens.values
        blank = (self.token + stem.positions[: values.shape[1]]).to(values.dtype)
        return Tokens(torch.where(mask.mask.unsqueeze(-1), blank, values), tokens.valid)


def keep_random(masking: RandomMasking, tokens: Tokens) -> tuple[Tokens, Mask]:
    """A random subset of every sample's tokens, and the mask of the others."""
    values, valid, _ = tokens
    every = is_every_token(valid)
    mask: Mask = masking(
        len(values), values.shape[1], values.device, valid=None if every else valid
    )
    kept = valid[:, : mask.keep.shape[1]]
    if not every:
        kept = (valid & ~mask.mask).gather(1, mask.keep)
    return Tokens(gather_tokens(values, mask.keep), kept, mask.keep), mask


def insert_mask_tokens(
    kept: Float[Tensor, "batch kept channel"], mask: Mask, mask_token: Float[Tensor, " channel"]
) -> Float[Tensor, "batch token channel"]:
    """Kept tokens at their indices, mask tokens elsewhere."""
    index = mask.keep.unsqueeze(-1).expand_as(kept)
    return mask_token.to(kept.dtype).expand(*mask.mask.shape, -1).scatter(1, index, kept)


def masked_distance(
    stem: Stem,
    prediction: Float[Tensor, "batch token target_width"],
    values: Shaped[Tensor, "batch ..."],
    mask: Mask,
    *,
    normalise: bool,
) -> Float[Tensor, ""]:
    """Mean distance of a prediction over the masked tokens; 0 where there are none."""
    distance = stem.distance(prediction, stem.target(values, normalise=normalise))
    return mean_over(distance, mask.mask)


def mean_over(
    score: Float[Tensor, "batch token"], counted: Bool[Tensor, "batch token"]
) -> Float[Tensor, ""]:
    """Mean over the counted tokens; 0 where there are none."""
    weight = counted.float()
    return (score * weight).sum() / weight.sum().clamp(min=1)


def reconstruct(
    stem: Stem,
    values: Shaped[Tensor, "batch ..."],
    masked: Bool[Tensor, "batch token"],
    prediction: Float[Tensor, "batch token target_width"] | None = None,
    *,
    normalise: bool = False,
) -> dict[str, Shaped[Tensor, "batch ..."]]:
    """Samples, what is left of them, and (of a prediction) the masked tokens filled in."""
    target = stem.target(values)
    if stem.likelihood == "categorical":
        rows = {"text": target, "masked": target.masked_fill(masked, MASK)}
        if prediction is not None:
            rows["filled"] = torch.where(masked, stem.render(prediction), target)
        return rows
    hidden = masked.unsqueeze(-1)
    rows = {"input": target, "masked": target.masked_fill(hidden, stem.blank)}
    if prediction is not None:
        if normalise:
            variance, mean = torch.var_mean(target, dim=-1, keepdim=True)
            prediction = prediction * (variance + 1e-6).sqrt() + mean
        rows["filled"] = torch.where(hidden, prediction, target)
    return {name: stem.render(row) for name, row in rows.items()}


class MaskedPrediction(Objective, ABC):
    """Objectives that predict something at tokens which `masking` replaces by a mask token."""

    masking: MaskTokens

    def masked(self, view: View) -> tuple[Tokens, Mask]:
        """The embedded tokens of a view, and a mask of them."""
        tokens = self.encoder.embed(view.values, view.valid)
        return tokens, self.masking.draw(tokens, self.encoder.stem)

    def encode(self, tokens: Tokens, mask: Mask) -> Float[Tensor, "batch token channel"]:
        """The encoder's tokens where the masked ones are replaced."""
        return self.encoder.contextualise(self.masking(tokens, mask, self.encoder.stem)).tokens

    @torch.no_grad()
    def pictures(self, views: Views) -> dict[str, Shaped[Tensor, "batch ..."]]:
        """The first view, and what the encoder sees of it."""
        view = views.views[0]
        return reconstruct(self.encoder.stem, view.values, self.masked(view)[1].mask)


def code_terms(
    scores: Float[Tensor, "token code"], codes: Int64[Tensor, " token"]
) -> dict[str, Float[Tensor, ""]]:
    """Cross-entropy and accuracy of predicted codes, and the perplexity of the targets."""
    uses = codes.bincount(minlength=scores.shape[1]).float()
    return {
        "loss": F.cross_entropy(scores, codes),
        "accuracy": (scores.detach().argmax(-1) == codes).float().mean(),
        "perplexity": perplexity(uses),
    }


class JointDecoder(nn.Module):
    """A transformer over the visible tokens of all modalities, and mask tokens (2205.14204).

    Tokens have sin-cos positions in their modality and its learned embedding. Weights start as a
    Xavier uniform (MAE, 2111.06377, appendix A.1).

    Args:
        encoder: Whose towers' tokens enter, and whose stems say what is predicted.
        width: Channels of the decoder's tokens; a multiple of 4 and of `num_heads`.
        depth: Blocks.
        num_heads: Their heads.
    """

    def __init__(self, encoder: Towers, *, width: int, depth: int, num_heads: int) -> None:
        super().__init__()
        self.enter, self.marks, self.predict = nn.ModuleDict(), nn.ParameterDict(), nn.ModuleDict()
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02)
        for one in encoder.modalities:
            tower = encoder.tower(one)
            self.enter[one] = nn.Linear(tower.token_width, width)
            self.marks[one] = nn.Parameter(torch.randn(width) * 0.02)
            self.predict[one] = nn.Linear(width, tower.stem.target_width)
            positions = sincos_2d(width, tower.stem.grid)
            self.register_buffer(f"positions_{one}", positions, persistent=False)
        self.trunk = Transformer(width, depth, num_heads, init="xavier")
        for linear in (*self.enter.values(), *self.predict.values()):
            init_linear(linear, "xavier")

    def forward(
        self,
        features: Mapping[Modality, Features],
        masks: Mapping[Modality, Mask],
        valid: Mapping[Modality, Bool[Tensor, "batch token"]],
    ) -> dict[Modality, Float[Tensor, "batch token target_width"]]:
        """Predict all tokens of each modality, in float32.

        `features` are of the visible tokens, at the indices that `masks` keep; `valid` says which
        of all tokens hold data.
        """
        tokens = []
        for one, found in features.items():
            placed = insert_mask_tokens(self.enter[one](found.tokens), masks[one], self.mask_token)
            positions = self.get_buffer(f"positions_{one}")[: placed.shape[1]]
            tokens.append(placed + positions + self.marks[one])
        every = all(is_every_token(valid[one]) for one in features)
        seen = None if every else torch.cat([valid[one] for one in features], dim=1)
        decoded = self.trunk(torch.cat(tokens, dim=1), seen)
        parts = decoded.split([some.shape[1] for some in tokens], dim=1)
        return {
            one: self.predict[one](part).float() for one, part in zip(features, parts, strict=True)
        }
