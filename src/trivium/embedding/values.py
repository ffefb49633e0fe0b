"""Raw values of samples, a batch at a time, as an encoder takes them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from trivium.data.batches import as_values, gather, lengths_shown, padded, senses_of
from trivium.data.spectrogram import SILENCE, LogMel, settings_of
from trivium.data.store import Store
from trivium.encoders.towers import Towers
from trivium.types import Encoder, Modality, Sense, Senses


class Source(NamedTuple):
    """Raw values by index, and which of their places hold data."""

    num_items: int
    take: Callable[[np.ndarray], tuple[Tensor | Senses, Tensor | None]]
    lengths: np.ndarray | None = None

    def batches(
        self, chosen: np.ndarray, size: int
    ) -> Iterator[tuple[np.ndarray, Tensor | Senses, Tensor | None]]:
        """Positions of `chosen`, their values and validity, ordered by length.

        Raises:
            ValueError: `chosen` is empty.
        """
        if len(chosen) == 0:
            raise ValueError("there are no items to embed")
        order = np.arange(len(chosen))
        if self.lengths is not None:
            order = np.argsort(self.lengths[chosen], kind="stable")
        for first in range(0, len(order), size):
            part = order[first : first + size]
            yield part, *self.take(chosen[part])


def source_of(
    encoder: Encoder,
    data: Store | Shaped[np.ndarray, "item ..."] | Sequence[str] | Sequence[np.ndarray],
    without: Sequence[Modality] = (),
) -> Source:
    """What an encoder reads of some data; errors as `embed`."""
    if isinstance(data, np.ndarray):
        return Source(len(data), lambda chosen: (_copied(data[chosen]), None))
    if isinstance(data, Store):
        store, modality = data, data.meta.modality
        if encoder.modality == "several" and "+" in modality:
            return _several(encoder, store, without)
        if modality != encoder.modality:
            raise ValueError(
                f"{store.meta.name} is {modality}, but the encoder {encoder.name} takes "
                f"{encoder.modality}: choose data of its modality."
            )

        def gathered(chosen: np.ndarray) -> tuple[Tensor, Tensor | None]:
            batch = gather(store, chosen, None, encoder.column)
            return batch.inputs[modality], batch.valid.get(modality)

        return Source(store.num_items, gathered, lengths_shown(store, encoder.column))
    if encoder.modality == "audio":
        return _waves(encoder, cast(Sequence[np.ndarray], data))
    if encoder.tokenizer is None:
        raise ValueError(
            f"the tokenizer of {encoder.name} is not known: load an encoder of text from a folder "
            "that holds tokenizer.json, or give ids or a store."
        )
    from tokenizers import Tokenizer

    from trivium.data.tokenizer import encode_all

    (limit,) = encoder.arguments["data"]["shape"]  # type: ignore[index]
    texts = cast(Sequence[str], data)
    flat, offsets = encode_all(Tokenizer.from_str(encoder.tokenizer), texts)

    def encoded(chosen: np.ndarray) -> tuple[Tensor, Tensor | None]:
        ids, valid = padded(flat, offsets, chosen, limit=limit)
        return torch.from_numpy(ids), torch.from_numpy(valid)

    return Source(len(offsets) - 1, encoded, np.diff(offsets))


def _several(encoder: Encoder, store: Store, without: Sequence[Modality]) -> Source:
    """Items of several modalities, of which some may be withheld."""
    towers = cast(Towers, encoder)

    def gathered(chosen: np.ndarray) -> tuple[Senses, None]:
        found = senses_of(gather(store, chosen, None, towers.audio_column))
        return {one: sense for one, sense in found.items() if one not in without}, None

    return Source(store.num_items, gathered)


def ready(values: Tensor | Senses, device: torch.device | str) -> Any:
    """Values as an encoder takes them, on its device."""
    if isinstance(values, Tensor):
        return as_values(values.to(device))
    return {
        one: Sense(
            as_values(sense.values.to(device)),
            *(None if held is None else held.to(device) for held in sense[1:]),
        )
        for one, sense in values.items()
    }


def _waves(encoder: Encoder, waves: Sequence[np.ndarray]) -> Source:
    """Clips of about one length at a time, as a store would hold and pad them."""
    described: Any = encoder.arguments["data"]
    settings, frames = settings_of(tuple(described["sound"])), int(described["shape"][1])
    lengths = np.array([len(wave) for wave in waves])
    limit = frames * settings.hop
    # A store's spectrograms are cut, so that the last frame has heard what follows.
    heard = limit if encoder.column == "wave" else limit + settings.window

    def taken(chosen: np.ndarray) -> tuple[Tensor, Tensor | None]:
        longest = min(int(lengths[chosen].max()), heard)
        batch, ends = torch.zeros(len(chosen), longest), torch.zeros(len(chosen)).long()
        for row, item in enumerate(chosen):
            wave = as_values(torch.from_numpy(np.ascontiguousarray(waves[item])))[:longest]
            batch[row, : len(wave)], ends[row] = wave, len(wave)
        if encoder.column == "wave":
            return batch, torch.arange(longest) < ends[:, None]
        mel = LogMel(settings)(batch)[:, :frames]
        ends = (ends // settings.hop).clamp(min=1)
        valid = torch.arange(mel.shape[1]) < ends[:, None]
        return mel.masked_fill(~valid[..., None], SILENCE).unsqueeze(1).half(), valid

    return Source(len(waves), taken, lengths)


def _copied(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))
