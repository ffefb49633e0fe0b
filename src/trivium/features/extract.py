"""Features of a frozen encoder: pooled, of several views, of every layer."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from trivium.data.batches import as_values, gather, lengths_shown, modality_inputs_of, padded
from trivium.data.spectrogram import SILENCE, LogMel, settings_of
from trivium.data.store import Store
from trivium.encoders.layers import mean_pool
from trivium.encoders.towers import Towers
from trivium.types import Encoder, Features, Modality, ModalityInput, MultimodalInput

Data: TypeAlias = Store | Shaped[np.ndarray, "item ..."] | Sequence[str] | Sequence[np.ndarray]
"""What `embed` takes."""


class Source(NamedTuple):
    """Raw values by index, and which of their places hold data."""

    num_items: int
    take: Callable[[np.ndarray], tuple[Tensor | MultimodalInput, Tensor | None]]
    lengths: np.ndarray | None = None

    def batches(
        self, chosen: np.ndarray, size: int
    ) -> Iterator[tuple[np.ndarray, Tensor | MultimodalInput, Tensor | None]]:
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


def source_of(encoder: Encoder, data: Data, without: Sequence[Modality] = ()) -> Source:
    """What an encoder reads of some data; errors as `embed`."""
    if isinstance(data, np.ndarray):
        return Source(
            len(data),
            lambda chosen: (torch.from_numpy(np.ascontiguousarray(data[chosen])), None),
        )
    if isinstance(data, Store):
        store, modality = data, data.meta.modality
        if encoder.modality == "several" and "+" in modality:
            column = cast(Towers, encoder).audio_column

            def several(chosen: np.ndarray) -> tuple[MultimodalInput, None]:
                found = modality_inputs_of(gather(store, chosen, None, column))
                return {one: each for one, each in found.items() if one not in without}, None

            return Source(store.num_items, several)
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


def ready(values: Tensor | MultimodalInput, device: torch.device | str) -> Any:
    """Values as an encoder takes them, on its device."""
    if isinstance(values, Tensor):
        return as_values(values.to(device))
    return {
        one: ModalityInput(
            as_values(each.values.to(device)),
            *(None if more is None else more.to(device) for more in each[1:]),
        )
        for one, each in values.items()
    }


def _waves(encoder: Encoder, waves: Sequence[np.ndarray]) -> Source:
    """Clips of about one length at a time, as a store would hold and pad them."""
    described: Any = encoder.arguments["data"]
    settings, frames = settings_of(tuple(described["sound"])), int(described["shape"][1])
    lengths = np.array([len(wave) for wave in waves])
    limit = frames * settings.hop
    # A store cuts its spectrograms, so that the last frame depends on what follows.
    longest_wave = limit if encoder.column == "wave" else limit + settings.window

    def taken(chosen: np.ndarray) -> tuple[Tensor, Tensor | None]:
        longest = min(int(lengths[chosen].max()), longest_wave)
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


def embed(
    encoder: Encoder,
    data: Data,
    indices: np.ndarray | None = None,
    *,
    batch_size: int = 512,
    device: torch.device | str = "cpu",
    without: Sequence[Modality] = (),
) -> Float[np.ndarray, "chosen channel"]:
    """Pooled features of a frozen encoder, in the order of `indices`.

    Of several modalities they are the fused ones; `without` withholds some of them.

    The encoder runs in eval mode without gradients and returns as it came: mode and device are
    restored. uint8 values are scaled to [0, 1], int16 waves to [-1, 1]; texts and clips of a store
    are batched by length.

    Args:
        encoder: Any encoder.
        data: A store; an array of raw values [item, ...]; texts, for an encoder of text that was
            loaded from a folder that holds its tokenizer; or a list of waves [sample] (int16, or
            floats in [-1, 1]) at the encoder's own rate, for an encoder of audio.
        indices: Which items; all if None.
        batch_size: Items at a time.
        device: Where to run.
        without: Modalities that count as missing in every item of a store of several.

    Raises:
        ValueError: There is nothing to embed, a feature is not finite, the data are of another
            modality than the encoder, or its tokenizer is not known.
    """

    def pooled(values: Any, valid: Tensor | None) -> Tensor:
        held = None if valid is None else valid.to(device)
        features: Features = encoder(ready(values, device), held)
        return features.pooled

    source = source_of(encoder, data, without)
    chosen = np.arange(source.num_items) if indices is None else indices
    return _collected(encoder, source.batches(chosen, batch_size), pooled, len(chosen), device)


def embed_views(
    encoder: Encoder,
    store: Store,
    indices: np.ndarray,
    recipe: nn.Module,
    *,
    num_views: int,
    seed: int = 0,
    batch_size: int = 512,
) -> Float[np.ndarray, "chosen view channel"]:
    """Pooled features of several random views of items of one modality, else as `embed`.

    `recipe` makes them with `seed`; of each call the first view is taken.
    """
    generator = torch.Generator().manual_seed(seed)

    def of_views(values: Any, valid: Tensor | None) -> Tensor:
        given = (values, generator) if valid is None else (values, generator, valid)
        made = [recipe(*given)[0] for _ in range(num_views)]
        return torch.stack([encoder(*view).pooled for view in made], 1)

    batches = source_of(encoder, store).batches(indices, batch_size)
    return _collected(encoder, batches, of_views, len(indices))


def embed_layers(
    encoder: Encoder, store: Store, indices: np.ndarray, *, batch_size: int = 512
) -> Float[np.ndarray, "chosen layer channel"]:
    """Means over the valid tokens behind the stem (layer 0) and behind each block, else as `embed`.

    Raises:
        ValueError: The encoder has no blocks of tokens (it is not `contextual`), or as `embed`.
    """
    if not encoder.contextual:
        raise ValueError(f"{encoder.name} has no blocks of tokens: its layers cannot be told apart")

    def of_layers(values: Any, valid: Tensor | None) -> Tensor:
        tokens = encoder.embed(ready(values, "cpu"), valid)
        layers = (tokens.values, *encoder.layers(tokens))
        return torch.stack([mean_pool(layer, tokens.valid).float() for layer in layers], 1)

    batches = source_of(encoder, store).batches(indices, batch_size)
    return _collected(encoder, batches, of_layers, len(indices))


def _collected(
    encoder: Encoder,
    batches: Iterator[tuple[np.ndarray, Tensor | MultimodalInput, Tensor | None]],
    features_of: Callable[[Any, Tensor | None], Tensor],
    num_items: int,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """The features of all batches, each where its items belong."""
    features = np.empty(0, np.float32)
    with _frozen(encoder, device):
        for positions, values, valid in batches:
            found = features_of(values, valid).float().cpu().numpy()
            if not len(features):
                features = np.empty((num_items, *found.shape[1:]), np.float32)
            features[positions] = found
    if not np.isfinite(features).all():
        raise ValueError("the encoder gives NaN or infinite features: its training diverged")
    return features


@contextmanager
def _frozen(encoder: Encoder, device: torch.device | str) -> Iterator[None]:
    """The encoder in eval mode, without gradients, on a device; afterwards as it came."""
    modes = {module: module.training for module in encoder.modules()}
    home = next((p.device for p in encoder.parameters()), torch.device("cpu"))
    encoder.eval().to(device)
    try:
        with torch.inference_mode():
            yield
    finally:
        encoder.to(home)
        for module, mode in modes.items():
            module.training = mode
