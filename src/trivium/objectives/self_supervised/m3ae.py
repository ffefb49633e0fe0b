"""M3AE: rebuild several modalities from the few tokens of each that were shown."""

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from trivium.encoders.towers import Towers
from trivium.objectives.masking import JointDecoder, keep_random, masked_distance, reconstruct
from trivium.objectives.pairs import each
from trivium.transforms.masking import Mask, RandomMasking
from trivium.types import (
    DataSpec,
    Modality,
    MultimodalInput,
    Needs,
    Objective,
    Paradigm,
    Terms,
    Tokens,
    Views,
)

Masks = dict[Modality, Mask]


@final
class M3AE(Objective):
    r"""Predict the masked tokens of each modality from the visible ones of all (Geng et al. 2022).

    arXiv 2205.14204, section 3, with an encoder for each modality as in MultiMAE (2204.01678): $L =
    \sum_m w_m L_m / \sum_m w_m$, $L_m$ the loss of `MAE` for modality m. Each tower sees the
    visible tokens of its modality, one decoder those of all. Modalities that a sample lacks are
    neither seen nor predicted. Reference: github.com/young-geng/m3ae_public; there one encoder
    takes all modalities.

    Args:
        encoder: Towers, each with a transformer trunk.
        data: Its spec.
        ratio: Share of a sample's tokens that is masked, by modality.
        normalise: Whether the targets are standardised per token, by modality; ids never are.
        weights: w, by modality; None for 1 each.
        decoder_width, decoder_depth, decoder_num_heads: See `JointDecoder`.

    Terms: `loss`; `distance_<modality>`, the parts $L_m$.

    Raises:
        ValueError: A tower cannot encode a subset of tokens, or a modality has no setting.
    """

    title: ClassVar[str] = "M3AE"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(tokens=True, target=True, modalities=("several",))
    encoder: Towers

    def __init__(
        self,
        encoder: Towers,
        data: DataSpec,  # noqa: ARG002
        *,
        ratio: Mapping[str, float],
        normalise: Mapping[str, bool],
        weights: Mapping[str, float | int] | None,
        decoder_width: int,
        decoder_depth: int,
        decoder_num_heads: int,
    ) -> None:
        super().__init__()
        self.encoder, names = encoder, encoder.modalities
        for one in names:
            tower = encoder.tower(one)
            if not tower.contextual:
                raise ValueError(
                    f"m3ae masks tokens, but its tower of {one}, "
                    f"{type(tower).__name__}, cannot encode a subset of tokens: choose one with a "
                    f"transformer trunk for encoder.{one}."
                )
        self.normalise = each(normalise, "normalise", names)
        self.weights = each(
            dict.fromkeys(names, 1) if weights is None else weights, "weights", names
        )
        ratios = each(ratio, "ratio", names)
        self.masking = {one: RandomMasking(ratios[one]) for one in names}
        self.decoder = JointDecoder(
            encoder, width=decoder_width, depth=decoder_depth, num_heads=decoder_num_heads
        )

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        senses = views.views[0].values
        predictions, masks = self.predict(senses)
        distances = {
            one: masked_distance(
                self.encoder.tower(one).stem,
                predictions[one],
                sense.values,
                masks[one],
                normalise=self.normalise[one],
            )
            for one, sense in senses.items()
        }
        weighed = [self.weights[one] * distance for one, distance in distances.items()]
        loss = torch.stack(weighed).sum() / sum(self.weights[one] for one in distances)
        terms = {f"distance_{one}": distance.detach() for one, distance in distances.items()}
        return {"loss": loss, **terms}

    def predict(self, senses: MultimodalInput) -> tuple[dict[Modality, Tensor], Masks]:
        """Predictions of all tokens, and masks of those that were hidden."""
        tokens = self.encoder.embed_each(senses)
        visible, masks, valid = self.mask(senses, tokens)
        return self.decoder(self.encoder.contextualise_each(visible), masks, valid), masks

    def mask(
        self, senses: MultimodalInput, tokens: Mapping[Modality, Tokens]
    ) -> tuple[dict[Modality, Tokens], Masks, dict[Modality, Bool[Tensor, "batch token"]]]:
        """Keep a random subset of each modality's tokens; and which of all tokens are valid.

        Of a modality that a sample lacks nothing counts as masked, and no token is valid.
        """
        visible, masks, valid = {}, {}, {}
        for one, some in tokens.items():
            visible[one], mask = keep_random(self.masking[one], some)
            valid[one], present = some.valid, senses[one].present
            if present is not None:
                mask = mask._replace(mask=mask.mask & present.unsqueeze(1))
                valid[one] = some.valid & present.unsqueeze(1)
            masks[one] = mask
        return visible, masks, valid

    @torch.no_grad()
    def pictures(self, views: Views) -> dict[str, Shaped[Tensor, "batch ..."]]:
        """Of each modality of the first view: itself, what is seen of it, and what is filled in."""
        senses: MultimodalInput = views.views[0].values
        predictions, masks = self.predict(senses)
        rows: dict[str, Tensor] = {}
        for one, sense in senses.items():
            filled = reconstruct(
                self.encoder.tower(one).stem,
                sense.values,
                masks[one].mask,
                predictions[one],
                normalise=self.normalise[one],
            )
            rows |= {name if name == one else f"{one} {name}": row for name, row in filled.items()}
        return rows
