"""Several modalities: one encoder for each, and what joins them."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.encoders.checkpoint import encoder_class
from trivium.encoders.layers import mean_pool
from trivium.encoders.transformer import CrossBlock
from trivium.types import (
    Column,
    DataSpec,
    Encoder,
    Features,
    Kind,
    Modality,
    MultimodalInput,
    Tokens,
    plain,
)

Fusion = Literal["concatenation", "cross_attention"]
Present = Mapping[Modality, Bool[Tensor, " batch"]]
"""Which samples have each modality."""


class Towers(Encoder):
    """Encoders of single modalities (towers), fused and projected to a joint space.

    *Fused* features see a sample with all of its modalities: by `concatenation` the towers' pooled
    features side by side; by `cross_attention` their tokens attend to each other first, in blocks
    of co-attention, and each modality's tokens are then averaged. A vector (`missing`) replaces
    what a
    sample lacks: learned where training samples lacked it, else the mean of the training samples
    (`trivium.training.fitting`). *Joint* features are linear projections of the towers' pooled
    features, of unit length.

    Args:
        data: A spec with parts.
        name: The encoder's yaml name.
        image: The tower of images: `_target_`, an encoder's dotted path, and its arguments;
            likewise `text` and `audio`. Those that the data lack are ignored.
        joint_width: Channels of the joint features.
        joint_bias: Whether the projections to them are affine, as after a control that centres.
        fusion: How the towers are joined.
        fusion_width: Channels of the tokens in the blocks of cross-attention.
        fusion_depth: How many blocks.
        fusion_num_heads: Their heads.

    Raises:
        ValueError: The data are of one modality, or a tower is missing or wrong.
    """

    contextual: ClassVar[bool] = False
    modality: ClassVar[Kind] = "several"
    optional: ClassVar[tuple[str, ...]] = (
        "project.", "missing.", "enter.", "marks.", "blocks.", "norm.",
    )  # fmt: skip

    def __init__(
        self,
        data: DataSpec,
        *,
        name: str,
        image: Mapping[str, Any] | None = None,
        text: Mapping[str, Any] | None = None,
        audio: Mapping[str, Any] | None = None,
        joint_width: int,
        joint_bias: bool = False,
        fusion: Fusion = "concatenation",
        fusion_width: int = 64,
        fusion_depth: int = 2,
        fusion_num_heads: int = 2,
    ) -> None:
        super().__init__()
        given = {k: v for k, v in locals().items() if k not in ("image", "text", "audio")}
        if len(data.parts) < 2:
            raise ValueError(
                f"towers encode several modalities, but {data.name!r} is {data.modality}: choose "
                f"an encoder of {data.modality}."
            )
        if fusion not in ("concatenation", "cross_attention"):
            raise ValueError(f"fusion is {fusion!r}; choose concatenation or cross_attention.")
        settings = {"image": plain(image), "text": plain(text), "audio": plain(audio)}
        settings = {part.modality: settings[part.modality] for part in data.parts}
        self.keep_arguments(given, **settings)
        self.data = data
        self.fusion: Fusion = fusion
        self.towers = nn.ModuleDict(
            {part.modality: _tower(settings[part.modality], part) for part in data.parts}
        )
        self.frozen: set[Modality] = set()
        towers = {one: self.tower(one) for one in self.modalities}
        self.project = nn.ModuleDict(
            {
                one: nn.Linear(tower.width, joint_width, bias=joint_bias)
                for one, tower in towers.items()
            }
        )
        self.joint_width = joint_width
        widths = {one: tower.width for one, tower in towers.items()}
        self.enter, self.marks, self.blocks = nn.ModuleDict(), nn.ParameterDict(), nn.ModuleList()
        if fusion == "cross_attention":
            widths = dict.fromkeys(towers, fusion_width)
            for one, tower in towers.items():
                self.enter[one] = nn.Linear(tower.token_width, fusion_width)
                self.marks[one] = nn.Parameter(torch.randn(fusion_width) * 0.02)
            self.blocks.extend(
                CrossBlock(fusion_width, fusion_num_heads) for _ in range(fusion_depth)
            )
            self.norm = nn.LayerNorm(fusion_width, eps=1e-6)
        self.missing = nn.ParameterDict(
            {one: nn.Parameter(torch.zeros(width)) for one, width in widths.items()}
        )
        self.width = sum(widths.values())
        self.token_width = max(widths.values())

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """What it encodes, in the order of `MODALITIES`."""
        return cast(tuple[Modality, ...], tuple(self.towers))

    def tower(self, modality: Modality) -> Encoder:
        """The encoder of one modality."""
        return cast(Encoder, self.towers[modality])

    def load_tower(self, modality: Modality, encoder: Encoder, *, frozen: bool) -> None:
        """Start a tower from another encoder's weights; frozen ones never change (LiT, 2111.07991).

        Raises:
            ValueError: The weights are not those of such a tower.
        """
        mine, theirs = self.tower(modality).state_dict(), encoder.state_dict()
        shapes = [{(key, value.shape) for key, value in state.items()} for state in (mine, theirs)]
        wrong = sorted({key for key, _ in shapes[0] ^ shapes[1]})
        if wrong:
            raise ValueError(
                f"the {modality} tower cannot begin with {encoder.name}: {len(wrong)} of its "
                f"tensors differ ({wrong[0]} first); give it the same settings and the same data."
            )
        self.tower(modality).load_state_dict(theirs)
        if frozen:
            self.freeze(modality)

    def freeze(self, modality: Modality) -> None:
        """Keep a tower as it is, in eval mode."""
        self.frozen.add(modality)
        self.tower(modality).requires_grad_(False)
        self.tower(modality).eval()

    def train(self, mode: bool = True) -> "Towers":
        """Set the mode of everything but frozen towers."""
        super().train(mode)
        for one in self.frozen:
            self.tower(one).eval()
        return self

    def forward(self, values: MultimodalInput, valid: Tensor | None = None) -> Features:  # noqa: ARG002
        """Fused features; modalities that `values` lacks count as missing in every sample."""
        return self.fuse(
            self.each(values), {one: sense.present_mask for one, sense in values.items()}
        )

    def each(self, values: MultimodalInput) -> dict[Modality, Features]:
        """Features of each tower; those of missing inputs are to be ignored."""
        return {one: self.tower(one)(sense.values, sense.valid) for one, sense in values.items()}

    def joint(self, modality: Modality, pooled: Tensor) -> Float[Tensor, "batch joint"]:
        """A tower's pooled features in the joint space, of unit length, in float32."""
        projected: Tensor = self.project[modality](pooled)
        return F.normalize(projected.float(), dim=-1)

    def embed_each(self, values: MultimodalInput) -> dict[Modality, Tokens]:
        """Tokens of each modality before any context; the towers must be contextual."""
        return {
            one: self.tower(one).embed(sense.values, sense.valid) for one, sense in values.items()
        }

    def contextualise_each(self, tokens: Mapping[Modality, Tokens]) -> dict[Modality, Features]:
        """Features of each tower, from any subset of its tokens."""
        return {one: self.tower(one).contextualise(some) for one, some in tokens.items()}

    def fuse(self, features: Mapping[Modality, Features], present: Present) -> Features:
        """Join the towers' features; those of samples that are not `present` have no influence.

        By `concatenation` the tokens are the pooled features, one for each modality, padded with
        zeros to the widest.
        """
        tokens, pooled = self.fused_parts(features, present)
        batch = len(next(iter(pooled.values())))
        parts = []
        for one in self.modalities:
            part = self.missing[one].expand(batch, -1)
            if one in pooled:
                kept = pooled[one]
                part = torch.where(present[one].unsqueeze(1), kept, part.to(kept.dtype))
            parts.append(part)
        if tokens:
            valid = [found.valid & present[one].unsqueeze(1) for one, found in features.items()]
            joined = torch.cat(list(tokens.values()), dim=1)
            return Features(joined, torch.cat(parts, dim=1), torch.cat(valid, dim=1))
        padded = torch.stack(
            [F.pad(part, (0, self.token_width - part.shape[1])) for part in parts], dim=1
        )
        none = torch.zeros(batch, dtype=torch.bool, device=padded.device)
        seen = torch.stack([present.get(one, none) for one in self.modalities], dim=1)
        return Features(padded, torch.cat(parts, dim=1), seen)

    def fused_parts(
        self, features: Mapping[Modality, Features], present: Present
    ) -> tuple[dict[Modality, Tensor], dict[Modality, Tensor]]:
        """Each modality's share of the fused features, [batch, channel], and of their tokens.

        Without cross-attention there are no tokens. Shares of absent inputs are to be ignored.
        """
        if self.fusion == "concatenation":
            return {}, {one: found.pooled for one, found in features.items()}
        valid = {one: found.valid & present[one].unsqueeze(1) for one, found in features.items()}
        tokens = {
            one: self.enter[one](found.tokens) + self.marks[one] for one, found in features.items()
        }
        for block in self.blocks:
            tokens = block(tokens, valid)
        tokens = {one: self.norm(some) for one, some in tokens.items()}
        # Averaged over what is valid, present or not: a mean over nothing has no gradient.
        return tokens, {one: mean_pool(some, features[one].valid) for one, some in tokens.items()}

    @property
    def audio_column(self) -> Column | None:
        """Which column of a store the tower of audio reads; None if there is no such tower."""
        return self.tower("audio").column if "audio" in self.towers else None


def _tower(settings: Any, data: DataSpec) -> Encoder:
    if not settings or "_target_" not in settings:
        raise ValueError(
            f"{data.name!r} has {data.modality}, but the encoder has no tower for it: set "
            f"encoder.{data.modality}."
        )
    arguments = {key: value for key, value in settings.items() if key != "_target_"}
    kind = encoder_class(settings["_target_"])
    if kind.modality != data.modality:
        raise ValueError(f"{kind.__name__} encodes {kind.modality}, not {data.modality}.")
    return cast(Encoder, kind(data, **arguments))
