"""Mask tokens in the place of hidden tokens: what objectives that predict what is masked share."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor, nn

from trivium.encoders.validity import is_every_token
from trivium.types import MASK, Stem, Tokens
from trivium.views.block_masking import BlockMasking
from trivium.views.masking import Mask


class TokenHiding(nn.Module):
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
