"""Features that are computed once per checkpoint, store and layer."""

import hashlib
import io
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Float

from trivium.data.store import Store
from trivium.encoders.checkpoint import checkpoint_hash, load_encoder
from trivium.encoders.towers import Towers
from trivium.features.extract import embed
from trivium.io import write_bytes
from trivium.types import Modality

LAYER = "pooled"


def cached_features(
    checkpoint: Path,
    store: Store,
    cache: Path,
    *,
    part: Modality | None = None,
) -> Float[np.ndarray, "item channel"]:
    """Features of every item of a store, as a memory map of a file that is written once.

    The file lies in a folder named by the checkpoint's hash.

    Args:
        checkpoint: Folder of an encoder.
        store: Whose items.
        cache: Folder of the cached files; made if it is missing.
        part: Of several modalities the one whose tower is asked (`store` is of that one then);
            None for the fused features.

    Raises:
        FileNotFoundError: The folder holds no encoder.
        ValueError: The encoder is damaged or gives features that are not finite.
    """
    layer = "/".join([LAYER, *([part] if part else [])])
    key = "\n".join([store.fingerprint, layer])
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = cache / checkpoint_hash(checkpoint)[:16] / f"{name}.npy"
    if not path.is_file():
        encoder = load_encoder(checkpoint)
        if part is not None:
            encoder = cast(Towers, encoder).tower(part)
        features = embed(encoder, store)
        buffer = io.BytesIO()
        np.save(buffer, features, allow_pickle=False)
        write_bytes(path, buffer.getvalue())
    cached: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return cached
