"""Probes on fixed features: what their mathematics defines, not how a solver gets there."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from scipy import sparse

from . import parts

NUM_CLASSES = 4
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)
CANDIDATES = 20
Values = dict[str, Any]
Part = tuple[Any, np.ndarray]


def measure(name: str, store: Any) -> Values:
    """The values of one probe; `store` is one of several modalities, for those that read one."""
    if name in ON_STORES:
        return ON_STORES[name](store)
    return ON_ARRAYS[name]()


def blobs(num: int, width: int, noise: float, seed: int) -> tuple[Part, Part, Part]:
    """Train, validation and test items of overlapping classes."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((NUM_CLASSES, width))
    found = []
    for size in (num, num // 2, 400):
        labels = np.arange(size) % NUM_CLASSES
        features = centres[labels] + noise * generator.standard_normal((size, width))
        found.append((features.astype(np.float32), labels))
    return found[0], found[1], found[2]


def words(seed: int) -> tuple[Part, Part, Part]:
    """Rows of unit length that are mostly zeros, such as tf-idf."""
    generator = np.random.default_rng(seed)
    rates = generator.gamma(0.3, 0.4, (NUM_CLASSES, 60))
    found = []
    for size in (200, 100, 400):
        labels = np.arange(size) % NUM_CLASSES
        counts = generator.poisson(0.4 * rates[labels] + 0.6 * rates.mean(0)).astype(np.float64)
        counts[:, 0] += 1
        rows = counts / np.linalg.norm(counts, axis=1, keepdims=True)
        found.append((sparse.csr_array(rows), labels))
    return found[0], found[1], found[2]


def linear(probe: Any, train: Part, validation: Part, test: Part) -> Values:
    """Chosen C, its validation cross-entropy and objective, and what the test items are called."""
    probe.fit(*train, validation=validation)
    found = {
        "log10 C": float(np.log10(probe.C_)),
        "lowest validation cross-entropy": float(np.min(probe.validation_scores_)),
        "test accuracy": float(np.mean(probe.predict(test[0]) == test[1])),
    }
    if isinstance(train[0], np.ndarray):
        chosen = list(PENALTIES).index(probe.C_)
        found["objective at C"] = float(probe.objective_[chosen])
    return found


def linear_path() -> Values:
    """The objective at each C, without validation."""
    train, _, test = blobs(200, 10, 1.5, seed=3)
    penalties = (1e-2, 1.0, 1e2)
    probe = parts.LinearProbe(penalties).fit(*train)
    accuracy = float(np.mean(probe.predict(test[0]) == test[1]))
    return {"objective": list(map(float, probe.objective_)), "test accuracy": accuracy}


def knn() -> Values:
    """Chosen k, the accuracy of each k, and the mean logarithm of the votes for the truth."""
    train, validation, test = blobs(240, 12, 2.0, seed=4)
    probe = parts.KNNProbe((1, 5, 20, 100)).fit(*train, validation=validation)
    shares = probe.predict_proba(test[0])
    return {
        "k": int(probe.k_),
        "validation accuracy": list(map(float, probe.validation_scores_)),
        "test accuracy": float(np.mean(probe.predict(test[0]) == test[1])),
        "test Brier score": float(
            np.mean(np.square(shares - np.eye(NUM_CLASSES)[test[1]]).sum(axis=1))
        ),
    }


def diagnostics() -> Values:
    """Label-free diagnostics of features, of several views of them, and CKA."""
    generator = np.random.default_rng(5)
    features = generator.standard_normal((200, 40)) * np.arange(1, 41) ** -0.7
    views = features[:, None] + 0.3 * generator.standard_normal((200, 4, 40))
    features, views = features.astype(np.float32), views.astype(np.float32)
    other = (np.tanh(features[:, :20]) @ generator.standard_normal((20, 30))).astype(np.float32)
    return {
        "RankMe": parts.rankme(features),
        "alpha-ReQ": parts.alpha_req(features),
        "uniformity": parts.uniformity(features),
        "alignment": parts.alignment(views),
        "LiDAR": parts.lidar(views),
        "linear CKA": parts.linear_cka(features, other),
    }


def zero_shot() -> Values:
    """Zero-shot classification with made-up features of texts."""
    names, templates = ("circle", "square", "star"), ("{}", "a picture of {}")

    def encode(texts: Iterable[str]) -> np.ndarray:
        rows = [np.random.default_rng([*one.encode()]).standard_normal(16) for one in texts]
        return np.stack(rows).astype(np.float32)

    targets = np.arange(90) % 3
    noise = np.random.default_rng(6).standard_normal((90, 16))
    features = (encode([names[one] for one in targets]) + 1.5 * noise).astype(np.float32)
    records, _ = parts.zero_shot(features, targets, names, encode, templates=templates)
    return {record["metric"]: float(record["value"]) for record in records}


def protocol(store: Any) -> Values:
    """Every choice and every accuracy of the protocol, over draws of label fractions."""
    task = store.task(None)
    labels = store.labels(task)
    generator = np.random.default_rng(7)
    centres = generator.standard_normal((labels.max() + 1, 8))
    features = centres[labels] + 1.2 * generator.standard_normal((len(labels), 8))
    settings = parts.Protocol(fractions=(0.3, 1.0), num_draws=3)
    records = parts.evaluate(features.astype(np.float32), store, settings, {}, task=task).records
    found: dict[str, list[float]] = {}
    for one in records:
        if one["metric"] not in ("accuracy", "cross_entropy"):
            continue  # others jump where a probability crosses the edge of a bin
        name = f"{one['probe']}, {one['split']} {one['metric']}"
        found.setdefault(name, []).append(float(one["value"]))
        if one["split"] == "validation" and one["metric"] == "accuracy":
            choice, value = ("k", one["k"]) if "k" in one else ("log10 C", np.log10(one["C"]))
            found.setdefault(f"{one['probe']}, {choice}", []).append(float(value))
    return found


def modality_features(store: Any, *, joint: bool = False) -> dict[str, np.ndarray]:
    """Of each modality noisy features of every row: linear maps of what samples are, or that."""
    generator = np.random.default_rng(8)
    shared = generator.standard_normal((store.num_items, 10))
    found = {}
    for one in store.parts:
        mixed = shared if joint else shared @ generator.standard_normal((10, 12))
        found[one] = np.empty_like(mixed)
        found[one][store.rows(one)] = mixed + generator.standard_normal(mixed.shape)
    return found


def ridge(store: Any) -> Values:
    """The chosen strength and the similarities, of one direction."""
    model = parts.RidgeRetrieval(modality_features(store), store)
    similarity = model(parts.search(store, "image", "audio"))
    return {
        "log10 alpha": [float(np.log10(one)) for one in model.alphas_.values()],
        "norm of the similarities": float(np.linalg.norm(similarity)),
        "similarities": similarity[:8, 0].tolist(),
    }


def retrieval(store: Any) -> Values:
    """Retrieval by the cosine in a joint space, in every direction."""
    joint = modality_features(store, joint=True)
    found = parts.evaluate_retrieval(joint, store, {}, checkpoint="", candidates=CANDIDATES)
    return _directions(found)


def linear_retrieval(store: Any) -> Values:
    """Linear retrieval of texts by images, and the reverse."""
    features = modality_features(store)
    texts = sparse.csr_array(np.clip(features["text"], 0, None))
    found = parts.evaluate_linear_retrieval(
        features["image"], texts, store, {}, modality="image", checkpoint="", candidates=CANDIDATES
    )
    return _directions(found)


def _directions(evaluations: Iterable[Any]) -> Values:
    found: Values = {}
    for one in evaluations:
        for record in one.records:
            name = f"{one.facts['task']}: {record['metric']}"
            found.setdefault(name, []).append(float(record["value"]))
    return found


ON_ARRAYS = {
    "linear": lambda: linear(parts.LinearProbe(PENALTIES), *blobs(240, 12, 2.0, seed=0)),
    "linear_wide": lambda: linear(
        parts.LinearProbe(PENALTIES), *blobs(60, 90, 4.0, seed=1)
    ),
    "linear_sparse": lambda: linear(
        parts.LinearProbe(PENALTIES), *words(seed=2)
    ),
    "linear_path": linear_path,
    "knn": knn,
    "zero_shot": zero_shot,
    "diagnostics": diagnostics,
}  # fmt: skip
ON_STORES: Mapping[str, Any] = {
    "protocol": protocol,
    "ridge": ridge,
    "retrieval": retrieval,
    "linear_retrieval": linear_retrieval,
}
