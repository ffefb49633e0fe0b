"""Pairs of modalities in a batch, gathered across ranks: which are compared, who takes part."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple, TypeVar, cast

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch import distributed as dist

from trivium.encoders.towers import Towers
from trivium.types import DataSpec, Modality, ModalityInput, MultimodalInput

Value = TypeVar("Value")


def each(
    setting: Mapping[str, Value], name: str, modalities: Iterable[Modality]
) -> dict[Modality, Value]:
    """The values of a setting for these modalities; those of others are ignored.

    Raises:
        ValueError: There is none for one of them.
    """
    wanted = tuple(modalities)
    missing = [one for one in wanted if one not in setting]
    if missing:
        raise ValueError(
            f"objective.{name} has values for {', '.join(setting) or 'nothing'}, but none for "
            f"{', '.join(missing)}: set objective.{name}.{missing[0]}."
        )
    return {one: setting[one] for one in wanted}


class _Gather(torch.autograd.Function):
    """Concatenate over ranks; backward sums every rank's gradient of this rank's rows."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        ctx.num_rows = tensor.shape[0]
        return _concatenate(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total.narrow(0, dist.get_rank() * ctx.num_rows, ctx.num_rows)


def _concatenate(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().contiguous()
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, tensor)
    return torch.cat(parts)


def gather(tensor: Tensor) -> Tensor:
    """Concatenate the tensors of all ranks along the first axis, in the order of the ranks.

    Every rank must hold the same shape. If each rank averages over its own anchors and gradients
    are averaged over ranks, the outcome is the gradient of the mean over the whole batch.
    """
    if not _is_distributed():
        return tensor
    if not tensor.requires_grad:
        return _concatenate(tensor)
    gathered: Tensor = _Gather.apply(tensor)
    return gathered


def offset(tensor: Tensor) -> int:
    """The row of `gather(tensor)` at which this rank's own rows begin."""
    return dist.get_rank() * tensor.shape[0] if _is_distributed() else 0


def _is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized()


Pair = tuple[Modality, Modality]


class Match(NamedTuple):
    """What one pair of modalities compares: rows are this rank's samples, columns all ranks'.

    `candidates`: the columns that a row is compared with, samples that have both modalities but not
    another sample with the same text; and always the row itself, its column in `positive`. `weight`
    is 0 for rows that lack a modality; weights sum to 1 over all ranks and pairs, in equal parts
    for every pair of which two samples or more have both modalities.
    """

    first: Float[Tensor, "row channel"]
    second: Float[Tensor, "row channel"]
    all_first: Float[Tensor, "column channel"]
    all_second: Float[Tensor, "column channel"]
    candidates: Bool[Tensor, "row column"]
    positive: Int64[Tensor, " row"]
    weight: Float[Tensor, " row"]

    def mean(self, values: Float[Tensor, " row"]) -> Float[Tensor, ""]:
        """This pair's share of the mean over rows and pairs."""
        return (self.weight * values).sum()

    def hits(self, similarity: Float[Tensor, "row column"]) -> Float[Tensor, " row"]:
        """1 where no candidate is more similar than the row's own partner, else 0."""
        masked = similarity.detach().masked_fill(~self.candidates, -torch.inf)
        return (masked.argmax(1) == self.positive).float()


class Pairs(nn.Module):
    """Compares samples in the joint space of towers, for each of some pairs of modalities.

    Two samples with the same text (a 64-bit hash of the ids without padding, before any view) are
    no negatives of each other, in any pair. `pairs` names the two modalities of each; None for all.

    Raises:
        ValueError: A pair is none of two modalities of the data, or named twice; or a modality is
            in no pair.
    """

    keys: Tensor

    def __init__(self, data: DataSpec, pairs: Sequence[Sequence[str]] | None) -> None:
        super().__init__()
        self.modalities = tuple(cast(Modality, part.modality) for part in data.parts)
        self.chosen = _choose(self.modalities, pairs)
        length = data.part("text").shape[0] if "text" in self.modalities else 0
        # A sum of ids times random odd numbers, modulo 2^64: it knows their order.
        generator = torch.Generator().manual_seed(64)
        keys = torch.randint(
            -(2**62), 2**62, (length,), generator=generator, dtype=torch.int64, device="cpu"
        )
        self.register_buffer("keys", 2 * keys + 1, persistent=False)

    def forward(self, encoder: Towers, senses: MultimodalInput) -> tuple[Match, ...]:
        """Encode each modality once and match the pairs, in their order."""
        features = encoder.each(senses)
        joint = {one: encoder.joint(one, features[one].pooled) for one in self.modalities}
        return self.match(joint, senses)

    def match(
        self, joint: Mapping[Modality, Float[Tensor, "row channel"]], senses: MultimodalInput
    ) -> tuple[Match, ...]:
        """Match features of unit length, by modality; those of absent inputs do not matter."""
        batch, device = len(senses[self.modalities[0]].values), self.keys.device
        text = torch.zeros(batch, dtype=torch.int64, device=device)
        if "text" in self.modalities:
            text = self.hash(senses["text"])
        # All that the ranks must know of each other's samples, in one exchange.
        own = torch.stack([text, *(senses[one].present_mask.long() for one in self.modalities)], 1)
        every = gather(own)
        everywhere = {one: gather(joint[one]) for one in self.modalities}
        present = {one: every[:, 1 + at].bool() for at, one in enumerate(self.modalities)}
        rows = torch.arange(batch, device=device) + offset(own)
        itself = rows[:, None] == torch.arange(len(every), device=device)
        same = torch.zeros_like(itself)
        if "text" in self.modalities:
            same = (own[:, :1] == every[:, 0]) & present["text"][rows, None] & present["text"]
        both = torch.stack([present[one] & present[other] for one, other in self.chosen])
        numbers = both.sum(1)
        alive = numbers >= 2
        shares = alive / (numbers * alive.sum()).clamp(min=1) * (len(every) // batch)
        return tuple(
            Match(
                joint[one],
                joint[other],
                everywhere[one],
                everywhere[other],
                (both[at] & ~same) | itself,
                rows,
                both[at, rows] * shares[at],
            )
            for at, (one, other) in enumerate(self.chosen)
        )

    def hash(self, text: ModalityInput) -> Int64[Tensor, " row"]:
        """64 bits that texts of the same ids share, before any view and however far padded."""
        ids = text.original
        if ids is None:
            ids = text.values if text.valid is None else text.values.masked_fill(~text.valid, 0)
        return (ids * self.keys[: ids.shape[1]]).sum(1)


def _choose(
    modalities: tuple[Modality, ...], pairs: Sequence[Sequence[str]] | None
) -> tuple[Pair, ...]:
    if pairs is None:
        return tuple(combinations(modalities, 2))
    named = [tuple(pair) for pair in pairs]
    for pair in named:
        if len(pair) != 2 or len(set(pair)) != 2 or not set(pair) <= set(modalities):
            raise ValueError(
                f"objective.pairs names {list(pair)}: a pair is two of {', '.join(modalities)}."
            )
    if len({frozenset(pair) for pair in named}) < len(named):
        raise ValueError(f"objective.pairs names a pair twice: {[list(pair) for pair in named]}.")
    left = [one for one in modalities if not any(one in pair for pair in named)]
    if left:
        raise ValueError(
            f"objective.pairs leaves out {', '.join(left)}, which would learn nothing: name it in "
            "a pair, or choose data without it."
        )
    return cast(tuple[Pair, ...], tuple(named))
