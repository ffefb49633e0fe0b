"""Features of a frozen encoder: pooled, of several views, or of every layer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import nn

from trivium.data.store import Store
from trivium.embedding.values import ready, source_of
from trivium.encoders.pooling import mean_pool
from trivium.types import Encoder, Modality


def embed(
    encoder: Encoder,
    data: Store | Shaped[np.ndarray, "item ..."] | Sequence[str] | Sequence[np.ndarray],
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
    taken = source_of(encoder, data, without)
    chosen = np.arange(taken.num_items) if indices is None else np.asarray(indices)
    features = np.empty((len(chosen), encoder.width), dtype=np.float32)
    with _frozen(encoder, device):
        for part, values, valid in taken.batches(chosen, batch_size):
            held = None if valid is None else valid.to(device)
            pooled = encoder(ready(values, device), held).pooled
            features[part] = pooled.float().cpu().numpy()
    return _finite(features)


def embed_views(
    encoder: Encoder,
    store: Store,
    indices: np.ndarray,
    recipe: nn.Module,
    *,
    num_views: int,
    seed: int = 0,
    batch_size: int = 512,
    device: torch.device | str = "cpu",
) -> Float[np.ndarray, "chosen view channel"]:
    """Pooled features of several random views of items of one modality, else as `embed`.

    Args:
        encoder: Of that modality.
        store: Whose items.
        indices: Which of them.
        recipe: Makes the views; of each call the first is taken.
        num_views: How many of each item.
        seed: Of the views.
        batch_size: Items at a time.
        device: Where to encode; views are made on the CPU.

    Raises:
        ValueError: As `embed`.
    """
    taken, chosen = source_of(encoder, store), np.asarray(indices)
    features = np.empty((len(chosen), num_views, encoder.width), dtype=np.float32)
    generator = torch.Generator().manual_seed(seed)
    with _frozen(encoder, device):
        for part, values, valid in taken.batches(chosen, batch_size):
            for number in range(num_views):
                view = recipe(values, generator, *([] if valid is None else [valid]))[0]
                held = None if view.valid is None else view.valid.to(device)
                pooled = encoder(view.values.to(device), held).pooled
                features[part, number] = pooled.float().cpu().numpy()
    return _finite(features)


def embed_layers(
    encoder: Encoder,
    store: Store,
    indices: np.ndarray,
    *,
    batch_size: int = 512,
    device: torch.device | str = "cpu",
) -> Float[np.ndarray, "chosen layer channel"]:
    """Means over the valid tokens behind the stem (layer 0) and behind each block, else as `embed`.

    Raises:
        ValueError: The encoder has no blocks of tokens (it is not `contextual`), or as `embed`.
    """
    if not encoder.contextual:
        raise ValueError(f"{encoder.name} has no blocks of tokens: its layers cannot be told apart")
    taken, chosen = source_of(encoder, store), np.asarray(indices)
    found: list[np.ndarray] = []
    places: list[np.ndarray] = []
    with _frozen(encoder, device):
        for part, values, valid in taken.batches(chosen, batch_size):
            held = None if valid is None else valid.to(device)
            tokens = encoder.embed(ready(values, device), held)
            layers = (tokens.values, *encoder.layers(tokens))
            pooled = torch.stack([mean_pool(layer, tokens.valid).float() for layer in layers], 1)
            found.append(pooled.cpu().numpy())
            places.append(part)
    features = np.concatenate(found)
    return _finite(features[np.argsort(np.concatenate(places))])


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


def _finite(features: np.ndarray) -> np.ndarray:
    if not np.isfinite(features).all():
        raise ValueError("the encoder gives NaN or infinite features: its training diverged")
    return features
