"""Hidden tokens rebuilt from the visible ones alone: what masked autoencoders share."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from trivium.encoders.validity import is_every_token
from trivium.types import MASK, Stem, Tokens
from trivium.views.masking import Mask, RandomMasking, gather_tokens


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
