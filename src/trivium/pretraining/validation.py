"""The validation accuracy that sweeps compare trials by; the test split is never touched."""

import numpy as np

from trivium.data.store import Store
from trivium.embedding import embed
from trivium.probes.linear import LinearProbe
from trivium.types import Encoder

NUM_ITEMS = 5000
PENALTIES = (1e-2, 1.0, 1e2)


def validation_accuracy(encoder: Encoder, store: Store, task: str | None) -> float | None:
    """Accuracy on validation items of a linear probe fitted on some train items.

    Uses at most 5000 items of each, the same for every encoder of a dataset, and three values of
    C; None on unlabelled data.
    """
    if task is None:
        return None
    generator = np.random.default_rng(0)
    labels = store.labels(task)
    parts = {}
    for split in ("train", "validation"):
        pool = store.split(split)
        chosen = np.sort(generator.choice(pool, size=min(NUM_ITEMS, len(pool)), replace=False))
        parts[split] = (embed(encoder, store, chosen), labels[chosen])
    best = 0.0
    for penalty in PENALTIES:
        probe = LinearProbe([penalty]).fit(*parts["train"])
        best = max(best, float(probe.score(*parts["validation"])))
    return best
