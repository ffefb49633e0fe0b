"""Per-channel statistics of pictures, exact and the same on every machine."""

import numpy as np
from jaxtyping import Int64, UInt8

CHUNK = 4096


def channel_statistics(
    images: UInt8[np.ndarray, "sample channel height width"], indices: Int64[np.ndarray, " index"]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of some pictures, in [0, 1], to six decimals.

    Counts how often each of the 256 values occurs, so that no rounding depends on the order of
    a sum.
    """
    counts = np.zeros((images.shape[1], 256), np.int64)
    for start in range(0, len(indices), CHUNK):
        chunk = np.asarray(images[indices[start : start + CHUNK]])
        for channel, total in enumerate(counts):
            total += np.bincount(chunk[:, channel].ravel(), minlength=256)
    values = np.arange(256) / 255
    weights = counts / counts.sum(axis=1, keepdims=True)
    mean = weights @ values
    std = np.sqrt((weights * (values - mean[:, None]) ** 2).sum(axis=1))
    return tuple(float(m.round(6)) for m in mean), tuple(float(s.round(6)) for s in std)
