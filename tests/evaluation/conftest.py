import numpy as np
import pytest
from scipy import sparse

from trivium.data.store import Store


def blobs(num_items, width, num_classes, *, spread=1.0, seed=0):
    """Gaussian classes along correlated axes of very different variance."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_items) % num_classes
    mixing = rng.normal(size=(width, width)) * np.logspace(0, -2, width)[:, None]
    centres = rng.normal(size=(num_classes, width)) * spread
    noise = rng.normal(size=(num_items, width))
    features = (centres[labels] + noise) @ mixing + rng.normal(size=width)
    return features.astype(np.float32), labels.astype(np.int64)


def words(num_items, num_words, num_classes, *, seed=0):
    """Rows of unit length over words of very different frequency, a few of them telling."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_items) % num_classes
    shares = 1 / np.arange(1, num_words + 1) * rng.gamma(1.0, size=(num_classes, num_words))
    shares /= shares.sum(1, keepdims=True)
    counts = np.array([rng.multinomial(9, shares[label]) for label in labels], dtype=float)
    counts /= np.linalg.norm(counts, axis=1, keepdims=True)
    return sparse.csr_array(counts), labels.astype(np.int64)


class Shop(Store):
    """A store in memory: 60 % train, 10 % validation, 30 % test, two nested label fractions."""

    def __init__(self, labels, groups=None):
        self._labels, self._groups = labels, groups
        order = np.random.default_rng(5).permutation(len(labels))
        cuts = [int(0.6 * len(labels)), int(0.7 * len(labels))]
        parts = np.split(order, cuts)
        self._splits = dict(zip(("train", "validation", "test"), map(np.sort, parts), strict=True))

    def split(self, name):
        return self._splits[name]

    def labels(self, task):
        assert task == "label"
        return self._labels

    def groups(self):
        return self._groups

    def fraction(self, fraction, draw, task):
        return tuple(
            self._draw(self._splits[part], fraction, draw) for part in ("train", "validation")
        )

    def _draw(self, indices, fraction, draw):
        rng = np.random.default_rng(draw)
        chosen = []
        for label in np.unique(self._labels):
            own = rng.permutation(indices[self._labels[indices] == label])
            chosen.append(own[: max(1, round(fraction * len(own)))])
        return np.sort(np.concatenate(chosen))


@pytest.fixture
def shop():
    features, labels = blobs(600, 6, 3, spread=0.8)
    return features, Shop(labels)
