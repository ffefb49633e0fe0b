"""Frozen features of any checkpoint: what probes and reports see of an encoder."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from trivium.data.batches import as_values, gather, lengths_shown, padded, senses_of
from trivium.data.spectrogram import SILENCE, LogMel, settings_of
from trivium.data.store import Store
from trivium.encoders.towers import Towers
from trivium.fingerprint import code_digest
from trivium.types import Encoder, Modality, Sense, Senses

LAYER = "pooled"
TOKENIZER = "tokenizer.json"
"""The file beside an encoder of text that turns texts into its ids."""


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
    taken = _source(encoder, data, without)
    chosen = np.arange(taken.num_items) if indices is None else np.asarray(indices)
    if len(chosen) == 0:
        raise ValueError("there are no items to embed")
    order = taken.order(chosen)
    features = np.empty((len(chosen), encoder.width), dtype=np.float32)
    with _frozen(encoder, device):
        for first in range(0, len(chosen), batch_size):
            part = order[first : first + batch_size]
            values, valid = taken.take(chosen[part])
            held = None if valid is None else valid.to(device)
            pooled = encoder(_ready(values, device), held).pooled
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
    taken, chosen = _source(encoder, store), np.asarray(indices)
    if len(chosen) == 0:
        raise ValueError("there are no items to embed")
    order = taken.order(chosen)
    features = np.empty((len(chosen), num_views, encoder.width), dtype=np.float32)
    generator = torch.Generator().manual_seed(seed)
    with _frozen(encoder, device):
        for first in range(0, len(chosen), batch_size):
            part = order[first : first + batch_size]
            values, valid = taken.take(chosen[part])
            for number in range(num_views):
                view = recipe(values, generator, *([] if valid is None else [valid]))[0]
                held = None if view.valid is None else view.valid.to(device)
                pooled = encoder(view.values.to(device), held).pooled
                features[part, number] = pooled.float().cpu().numpy()
    return _finite(features)


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


class _Source(NamedTuple):
    """Raw values by index, and which of their places hold data."""

    num_items: int
    take: Callable[[np.ndarray], tuple[Tensor | Senses, Tensor | None]]
    lengths: np.ndarray | None = None

    def order(self, chosen: np.ndarray) -> np.ndarray:
        """Positions of `chosen` in the order in which they are embedded: by length."""
        if self.lengths is None:
            return np.arange(len(chosen))
        return np.argsort(self.lengths[chosen], kind="stable")


def _source(
    encoder: Encoder,
    data: Store | Shaped[np.ndarray, "item ..."] | Sequence[str] | Sequence[np.ndarray],
    without: Sequence[Modality] = (),
) -> _Source:
    if isinstance(data, np.ndarray):
        return _Source(len(data), lambda chosen: (_copied(data[chosen]), None))
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

        return _Source(store.num_items, gathered, lengths_shown(store, encoder.column))
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

    return _Source(len(offsets) - 1, encoded, np.diff(offsets))


def _several(encoder: Encoder, store: Store, without: Sequence[Modality]) -> _Source:
    """Items of several modalities, of which some may be withheld."""
    towers = cast(Towers, encoder)

    def gathered(chosen: np.ndarray) -> tuple[Senses, None]:
        found = senses_of(gather(store, chosen, None, towers.audio_column))
        for one in without:
            found[one] = found[one]._replace(present=torch.zeros(len(chosen), dtype=torch.bool))
        return found, None

    return _Source(store.num_items, gathered)


def _ready(values: Tensor | Senses, device: torch.device | str) -> Any:
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


def _waves(encoder: Encoder, waves: Sequence[np.ndarray]) -> _Source:
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

    return _Source(len(waves), taken, lengths)


def _copied(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))


def cached_features(
    checkpoint: Path,
    store: Store,
    cache: Path,
    *,
    batch_size: int = 512,
    device: torch.device | str = "cpu",
    part: Modality | None = None,
    without: Sequence[Modality] = (),
) -> Float[np.ndarray, "item channel"]:
    """Features of every item of a store, computed once per checkpoint, store, layer and code.

    Of several modalities the fused features, `without` some of them; or of a `part` the tower's.

    The file is named by the checkpoint's hash and the store's fingerprint, written in one step,
    and read as a memory map.

    Args:
        checkpoint: Folder of an encoder.
        store: Whose items.
        cache: Folder of the cached files; made if it is missing.
        batch_size: Items at a time.
        device: Where to run.
        part: The modality whose tower is asked; `store` is of that modality then.
        without: Modalities that are withheld.

    Raises:
        FileNotFoundError: The folder holds no encoder.
        ValueError: The encoder is damaged or gives features that are not finite.
    """
    from trivium.encoders.checkpoint import checkpoint_hash, encoder_module, load_encoder

    code = code_digest(["trivium.embedding", encoder_module(checkpoint)])
    layer = "/".join([LAYER, *([part] if part else []), *(f"without {one}" for one in without)])
    key = "\n".join([checkpoint_hash(checkpoint), store.fingerprint, layer, code])
    path = cache / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npy"
    if not path.is_file():
        encoder = load_encoder(checkpoint)
        if part is not None:
            encoder = cast(Towers, encoder).tower(part)
        features = embed(encoder, store, batch_size=batch_size, device=device, without=without)
        _save(features, path)
    cached: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return cached


def load_encoder(source: str | Path) -> Encoder:
    """An encoder from a folder, an MLflow run (`runs:/ID/PATH`) or registry (`models:/NAME@ALIAS`).

    Returns:
        The encoder with its weights, in eval mode.

    Raises:
        FileNotFoundError: There is no encoder.
        ValueError: The encoder is damaged.
    """
    from trivium.encoders import checkpoint

    folder = find_encoder(source)
    encoder = checkpoint.load_encoder(folder)
    if (folder / TOKENIZER).is_file():
        encoder.tokenizer = (folder / TOKENIZER).read_text(encoding="utf-8")
    return encoder


def find_encoder(source: str | Path) -> Path:
    """The local folder of an encoder: a folder as it is, an MLflow URI downloaded.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    if isinstance(source, str) and source.startswith(("runs:/", "models:/")):
        from trivium.tracking.artifacts import download

        return download(source)
    if not Path(source).is_dir():
        raise FileNotFoundError(
            f"there is no run folder {source}: give a folder that holds encoder.safetensors, "
            "runs:/ID/encoder or models:/NAME@ALIAS"
        )
    return Path(source)


def _save(array: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
