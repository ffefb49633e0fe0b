"""Fabricated probe and run folders of a dataset of images and texts whose truth is known."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from trivium.evaluation.metrics import measure
from trivium.evaluation.results import Evaluation, write_evaluation
from trivium.report.records import Entry

DATASET, TASK, SEVERAL = "tiny_pairs", "group", "image+text"
NUM_CLASSES, NUM_ITEMS = 3, {"image": 300, "text": 320, SEVERAL: 310}
LANGUAGES = {"German": 60, "Welsh": 120}
FRACTIONS = {0.01: 3, 1.0: 1}

# Accuracy by modality and label fraction.
GRID = {
    ("simclr", "self_supervised", "vit_nano"): {"image": (0.4, 0.8)},
    ("untrained", "control", "vit_nano"): {"image": (0.35, 0.36)},
    ("bert", "self_supervised", "text_nano"): {"text": (0.9, 0.95)},
    ("clip", "self_supervised", "towers_nano"): {
        "image": (0.8, 0.8), "text": (0.5, 0.6), SEVERAL: (0.8, 0.9),
    },
    ("cross_entropy", "supervised", "towers_nano"): {
        "image": (0.5, 0.7), "text": (0.5, 0.6), SEVERAL: (0.85, 0.92),
    },
    ("untrained", "control", "towers_nano"): {
        "image": (0.34, 0.35), "text": (0.34, 0.35), SEVERAL: (0.34, 0.35),
    },
}  # fmt: skip
# How often the right one is among the first five, by language.
FOUND = {
    "clip": (0.8, 0.2), "untrained": (0.05, 0.05), "duration": (0.3, 0.2), "ridge": (0.4, 0.3),
}  # fmt: skip
# The same by a linear map of features of images.
READ = {
    "clip": (0.9, 0.9), "simclr": (0.4, 0.4), "cross_entropy": (0.4, 0.4),
    "untrained": (0.2, 0.2), "raw": (0.3, 0.3),
}  # fmt: skip


def fabricate_pairs(root: Path, *, num_seeds: int = 3) -> list[Entry]:
    """Of images CLIP learns more than SimCLR with few labels; of texts less than BERT."""
    entries = []
    for (objective, paradigm, encoder), skills in GRID.items():
        for seed in range(num_seeds):
            facts = _facts(objective, paradigm, encoder, seed)
            name = f"{DATASET}-{objective}-{encoder}-{seed}"
            run = _run(root / "runs" / name, "+" in "".join(skills), seed)
            found = {m: _classified(facts | {"modality": m}, s) for m, s in skills.items()}
            if objective in FOUND and SEVERAL in skills:
                found |= {way: _retrieved(facts, way) for way in WAYS}
            if "image" in skills:
                found |= {
                    f"linear {way}": _retrieved(facts | {"modality": "image"}, way) for way in WAYS
                }
            entries += _written(root / "probes" / name, found, seed, run)
    found = {
        modality: _classified(_facts("raw", "control", encoder, 0) | {"modality": modality}, skill)
        for modality, encoder, skill in (
            ("image", "raw", (0.4, 0.5)),
            ("text", "tfidf", (0.5, 0.6)),
        )
    }
    for way in WAYS:
        facts = _facts("raw", "control", "raw", 0) | {"modality": "image"}
        found[f"linear {way}"] = _retrieved(facts, way)
        for objective in ("ridge", "duration"):
            facts = _facts(objective, "control", objective, 0)
            found[f"{objective} {way}"] = _retrieved(facts, way)
    return entries + _written(root / "probes" / f"{DATASET}-raw", found, 0, None)


WAYS = ("image to text", "text to image")


def _facts(objective: str, paradigm: str, encoder: str, seed: int) -> dict[str, object]:
    flops = 0 if paradigm == "control" else 10**12
    return {
        "dataset": DATASET, "task": TASK, "modality": SEVERAL, "paradigm": paradigm,
        "objective": objective, "encoder": encoder, "seed": seed, "flops": flops, "samples": flops,
    }  # fmt: skip


def _written(folder: Path, found: dict, seed: int, run: Path | None) -> list[Entry]:
    for name, evaluation in found.items():
        write_evaluation(evaluation, folder / name)
    return [Entry(folder.name, seed, folder / name, run, folder.name) for name in found]


def _classified(facts: dict, skill: tuple[float, float]) -> Evaluation:
    modality = facts["modality"]
    luck = np.random.default_rng([facts["seed"], *map(ord, str(sorted(facts.items())))])
    items = np.random.default_rng(7)
    labels = items.integers(NUM_CLASSES, size=NUM_ITEMS[modality])
    probes = {"linear": 0.0}
    if modality == SEVERAL:
        probes |= {"linear without image": 0.2, "linear without text": 0.1}
    records, arrays = [], {"labels": labels.astype(np.int16)}

    def add(probe: str, fraction: float, draw: int, level: float) -> None:
        right = luck.random(len(labels)) < level
        wrong = (labels + luck.integers(1, NUM_CLASSES, size=len(labels))) % NUM_CLASSES
        predicted = np.where(right, labels, wrong)
        arrays[f"{probe}/{fraction}/{draw}"] = predicted.astype(np.int16)
        records.extend(
            _record(TASK, probe, fraction, draw, *pair)
            for pair in measure(np.eye(NUM_CLASSES)[predicted], labels).items()
        )

    for (fraction, draws), level in zip(FRACTIONS.items(), skill, strict=True):
        for draw in range(draws):
            for probe, loss in probes.items():
                add(probe, fraction, draw, level - loss)
    if facts["objective"] == "clip" and modality == "image":
        add("zero-shot", 1.0, 0, 0.6)
    return Evaluation("1", "0" * 64, facts, tuple(records), arrays)


def _retrieved(facts: dict, way: str) -> Evaluation:
    luck = np.random.default_rng([facts["seed"], *map(ord, facts["objective"] + way)])
    strata = np.repeat(np.arange(len(LANGUAGES)), list(LANGUAGES.values())).astype(np.int16)
    is_linear = facts["modality"] == "image"
    level = np.array((READ if is_linear else FOUND)[facts["objective"]])[strata]
    near = luck.random(len(strata)) < level
    ranks = np.where(near, luck.integers(0, 5, len(strata)), luck.integers(5, 60, len(strata)))
    measured = {f"recall@{k}": np.mean(ranks < k) for k in (1, 5, 10)}
    measured |= {"median_rank": np.median(ranks + 1)}
    measured |= {f"chance@{k}": k / 60 for k in (1, 5, 10)} | {"num_candidates": 60.0}
    if facts["encoder"] == "towers_nano" and not is_linear:
        measured["modality_gap"] = 0.4
    for number, name in enumerate(LANGUAGES):
        measured[f"recall@5/{name}"] = np.mean(ranks[strata == number] < 5)
        measured[f"chance@5/{name}"] = 5 / 60
    records = tuple(_record(way, "retrieval", 1.0, 0, *pair) for pair in measured.items())
    arrays = {
        "retrieval/1.0/0": ranks.astype(np.int32), "labels": np.zeros(len(ranks), np.int32),
        "groups": (np.arange(len(ranks)) // 2).astype(np.int32), "strata": strata,
    }  # fmt: skip
    return Evaluation("1", "0" * 64, facts | {"task": way}, records, arrays)


def _record(task: str, probe: str, fraction: float, draw: int, metric: str, value: float) -> dict:
    return {
        "task": task, "probe": probe, "fraction": fraction, "draw": draw, "split": "test",
        "metric": metric, "value": float(value), "num_test": 1,
    }  # fmt: skip


def _run(folder: Path, is_several: bool, seed: int) -> Path:
    """A run folder with a price, a curve and pictures, as runs of several modalities leave them."""
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({"flops": 10**12, "flops_per_step": 10**9}))
    terms = {"step": [1, 2], "flops": [1, 2], "samples": [1, 2], "terms": {"loss": [2.0, 1.0]}}
    monitor = {"monitor": {"step": [1, 2], "accuracy": [0.3, 0.4], "rankme": [4.0, 5.0 + seed]}}
    (folder / "curves.json").write_text(json.dumps(terms | monitor))
    luck = np.random.default_rng(seed)
    for step in (0, 2):
        image = Image.fromarray(luck.integers(256, size=(8, 16), dtype=np.uint8))
        image.save(pictures / f"{'rows_image' if is_several else 'rows'}-step{step:06d}.png")
        if is_several:
            rows = {"text": ["a cat"], "text from image": [f"a dog {step}"]}
            (pictures / f"rows_text-step{step:06d}.json").write_text(json.dumps(rows))
    return folder
