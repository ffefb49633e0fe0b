"""Masked prediction: mask tokens, and the decoders that reconstruct what was hidden."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from trivium.encoders.layers import is_every_token, sincos_2d
from trivium.encoders.towers import Towers
from trivium.encoders.transformer import Transformer, init_linear
from trivium.transforms.block_masking import BlockMasking
from trivium.transforms.masking import Mask, RandomMasking, gather_tokens
from trivium.types import MASK, Features, Modality, Stem, Tokens


class MaskTokens(nn.Module):
    """Blocks of tokens that are replaced by one learned token, whose positions stay.

    Args:
        width: Channels of the tokens.
        ratio: Share of a sample's tokens that is hidden, in (0, 1).
        block: Smallest and largest number of tokens of a block; 1 and 1 hide tokens one by one.
        aspect_ratio: Smallest and largest height over width of a block; in one dimension there
            are spans whatever it says.
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
        """The tokens with mask tokens, at the positions of what they hide, in their place."""
        values = tokens.values
        blank = (self.token + stem.positions[: values.shape[1]]).to(values.dtype)
        return Tokens(torch.where(mask.mask.unsqueeze(-1), blank, values), tokens.valid)


def show_hidden(
    stem: Stem, values: Shaped[Tensor, "batch ..."], hidden: Bool[Tensor, "batch token"]
) -> dict[str, Shaped[Tensor, "batch ..."]]:
    """For the eye: samples, and what is left of them where tokens are hidden."""
    target = stem.target(values)
    if stem.likelihood == "categorical":
        return {"text": target, "masked": target.masked_fill(hidden, MASK)}
    masked = target.masked_fill(hidden.unsqueeze(-1), stem.blank)
    return {"input": stem.render(target), "masked": stem.render(masked)}


def hide(masking: RandomMasking, tokens: Tokens) -> tuple[Tokens, Mask]:
    """Keep a random subset of every sample's tokens."""
    values, valid, _ = tokens
    every = is_every_token(valid)
    mask: Mask = masking(
        len(values), values.shape[1], values.device, valid=None if every else valid
    )
    shown = valid[:, : mask.keep.shape[1]]
    if not every:
        shown = (valid & ~mask.mask).gather(1, mask.keep)
    return Tokens(gather_tokens(values, mask.keep), shown, mask.keep), mask


def put_back(
    seen: Float[Tensor, "batch kept channel"], mask: Mask, mask_token: Float[Tensor, " channel"]
) -> Float[Tensor, "batch token channel"]:
    """Kept tokens in their places, among mask tokens."""
    place = mask.keep.unsqueeze(-1).expand_as(seen)
    blank = mask_token.to(seen.dtype).expand(*mask.mask.shape, -1)
    return blank.scatter(1, place, seen)


def hidden_distance(
    stem: Stem,
    prediction: Float[Tensor, "batch token target_width"],
    values: Shaped[Tensor, "batch ..."],
    mask: Mask,
    *,
    normalise: bool,
) -> Float[Tensor, ""]:
    """Mean distance of a prediction over the hidden tokens; 0 where there are none."""
    target = stem.target(values, normalise=normalise)
    hidden = mask.mask.float()
    return (stem.distance(prediction, target) * hidden).sum() / hidden.sum().clamp(min=1)


def fill(
    stem: Stem,
    prediction: Float[Tensor, "batch token target_width"],
    values: Shaped[Tensor, "batch ..."],
    mask: Mask,
    *,
    normalise: bool,
) -> dict[str, Shaped[Tensor, "batch ..."]]:
    """For the eye: samples, what is left of them, and the hidden tokens filled in."""
    target = stem.target(values)
    if stem.likelihood == "categorical":
        filled = torch.where(mask.mask, stem.render(prediction), target)
        return {"text": target, "masked": target.masked_fill(mask.mask, MASK), "filled": filled}
    if normalise:
        variance, mean = torch.var_mean(target, dim=-1, keepdim=True)
        prediction = prediction * (variance + 1e-6).sqrt() + mean
    hidden = mask.mask.bool().unsqueeze(-1)
    masked, filled = (
        target.masked_fill(hidden, stem.blank),
        torch.where(hidden, prediction, target),
    )
    rows = {"input": target, "masked": masked, "filled": filled}
    return {name: stem.render(row) for name, row in rows.items()}


class JointDecoder(nn.Module):
    """A transformer over the visible tokens of all modalities, and mask tokens (2205.14204).

    Tokens have sin-cos positions in their modality and its learned mark. It starts as Xavier
    uniform, as in MAE (2111.06377, appendix A.1).

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
        """Predict all tokens of each modality, in float32; what is not valid is seen by nobody.

        Args:
            features: Of the visible tokens of each modality.
            masks: Where these stand.
            valid: Which of all tokens of each modality hold data.
        """
        tokens = []
        for one, found in features.items():
            placed = put_back(self.enter[one](found.tokens), masks[one], self.mask_token)
            positions = self.get_buffer(f"positions_{one}")[: placed.shape[1]]
            tokens.append(placed + positions + self.marks[one])
        every = all(is_every_token(valid[one]) for one in features)
        seen = None if every else torch.cat([valid[one] for one in features], dim=1)
        decoded = self.trunk(torch.cat(tokens, dim=1), seen)
        parts = decoded.split([some.shape[1] for some in tokens], dim=1)
        return {
            one: self.predict[one](part).float() for one, part in zip(features, parts, strict=True)
        }
