"""One decoder for the tokens of several modalities."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from trivium.encoders.positions import sincos_2d
from trivium.encoders.towers import Towers
from trivium.encoders.transformer import Transformer, init_linear
from trivium.encoders.validity import is_every_token
from trivium.objectives.rebuilding import put_back
from trivium.types import Features, Modality
from trivium.views.masking import Mask


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
