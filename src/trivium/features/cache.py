"""Features that are computed once per checkpoint, store and layer."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Float

from trivium.data.store import Store
from trivium.encoders.towers import Towers
from trivium.features.extract import embed
from trivium.types import Modality

LAYER = "pooled"


def cached_features(
    checkpoint: Path,
    store: Store,
    cache: Path,
    *,
    batch_size: int = 512,
    device: torch.device | str = "cpu",
    part: Modality | None = None,
) -> Float[np.ndarray, "item channel"]:
    """Features of every item of a store, computed once per checkpoint, store and layer.

    Of several modalities the fused features, or of a `part` the tower's.

    The file lies in a folder named by the checkpoint's hash; it is written in one step and read
    as a memory map.

    Args:
        checkpoint: Folder of an encoder.
        store: Whose items.
        cache: Folder of the cached files; made if it is missing.
        batch_size: Items at a time.
        device: Where to run.
        part: The modality whose tower is asked; `store` is of that modality then.

    Raises:
        FileNotFoundError: The folder holds no encoder.
        ValueError: The encoder is damaged or gives features that are not finite.
    """
    from trivium.encoders.checkpoint import checkpoint_hash, load_encoder

    layer = "/".join([LAYER, *([part] if part else [])])
    key = "\n".join([store.fingerprint, layer])
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = cache / checkpoint_hash(checkpoint)[:16] / f"{name}.npy"
    if not path.is_file():
        encoder = load_encoder(checkpoint)
        if part is not None:
            encoder = cast(Towers, encoder).tower(part)
        features = embed(encoder, store, batch_size=batch_size, device=device)
        _save(features, path)
    cached: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return cached


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
