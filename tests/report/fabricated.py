"""Fabricated probe and run folders whose truth is known."""

import json
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image
from sklearn.metrics import f1_score

from trivium.report.records import Entry

NUM_CLASSES = 4
FRACTIONS = {0.01: 5, 0.1: 5, 1.0: 1}


def fabricate(
    root: Path,
    objective: str,
    paradigm: str,
    skill: dict[float, float],
    *,
    seed: int = 0,
    num_items: int = 300,
    probes: tuple[str, ...] = ("linear", "knn"),
    protocol: str = "1",
    dataset: str = "shapes",
    modality: str = "image",
    with_run: bool = True,
) -> Entry:
    """One probe folder: an item is right where skill + luck exceeds its difficulty."""
    labels = np.random.default_rng(7).integers(NUM_CLASSES, size=num_items).astype(np.int16)
    difficulty = np.random.default_rng(8).normal(size=num_items)
    luck = np.random.default_rng([seed, len(objective), ord(objective[0])])
    arrays, records = {"labels": labels}, []
    raised = 0.03 * luck.normal()
    for probe in probes:
        for fraction, num_draws in FRACTIONS.items():
            for draw in range(num_draws):
                pull = np.random.default_rng([draw, round(fraction * 100)]).normal() * 0.05
                level = skill[fraction] + raised + pull - (0.1 if probe == "knn" else 0)
                right = level + 0.4 * luck.normal(size=num_items) > difficulty
                wrong = (labels + luck.integers(1, NUM_CLASSES, size=num_items)) % NUM_CLASSES
                predicted = np.where(right, labels, wrong).astype(np.int16)
                arrays[f"{probe}/{fraction}/{draw}"] = predicted
                truth = {
                    "accuracy": (predicted == labels).mean(),
                    "macro_f1": f1_score(labels, predicted, average="macro"),
                    "ece": 0.05 + 0.001 * seed,
                }
                records += [
                    {
                        "task": "label", "probe": probe, "fraction": fraction, "draw": draw,
                        "split": "test", "metric": metric, "value": float(value),
                        "num_test": num_items, "C": 1.0,
                    }
                    for metric, value in truth.items()
                ]  # fmt: skip
    folder = root / "probes" / f"{dataset}-{objective}-{seed}"
    folder.mkdir(parents=True)
    np.savez(folder / "predictions.npz", **arrays)
    flops = 0 if paradigm == "control" else 2_000_000_000_000
    facts = {
        "dataset": dataset, "modality": modality, "paradigm": paradigm, "objective": objective,
        "encoder": "raw" if objective == "raw" else "vit_nano", "seed": seed, "flops": flops,
        "samples": flops // 1_000_000, "task": "label",
    }  # fmt: skip
    document = {"protocol": protocol, "checkpoint": "0" * 64, "facts": facts, "records": records}
    (folder / "probe.json").write_text(json.dumps(document))
    run_folder = None
    if with_run and paradigm != "control":
        run_folder = fabricate_run(root / "runs" / folder.name, skill[1.0], seed, flops, luck)
        if modality == "audio":
            fabricate_sounds(run_folder / "pictures", luck)
    run_id = f"run{seed}{objective}"
    tracked = {"experiment_id": "1", "commit": f"{seed}" * 40}
    return Entry(f"{dataset}-{objective}", seed, folder, run_folder, run_id, **tracked)


def fabricate_run(
    folder: Path, skill: float, seed: int, flops: int, luck: np.random.Generator
) -> Path:
    """A run folder with everything that is optional."""
    (folder / "pictures").mkdir(parents=True)
    num_steps = 400
    steps = list(range(0, num_steps + 1, 10))
    each = flops // num_steps
    loss = [2.3 * float(np.exp(-s / 150)) + 0.4 + 0.02 * luck.random() for s in steps]
    heights = [0.2 + (0.4 + 0.2 * skill) * (1 - float(np.exp(-s / 120))) for s in steps]
    _dump(folder / "metrics.json", {
        "num_steps": num_steps, "flops": flops, "flops_per_step": each, "samples": num_steps * 256,
        "num_parameters": 215_000, "final": {"loss": loss[-1]},
    })  # fmt: skip
    _dump(folder / "curves.json", {
        "step": steps, "flops": [s * each for s in steps], "samples": [s * 256 for s in steps],
        "terms": {"loss": loss},
        "monitor": {"step": steps, "accuracy": heights, "rankme": [5 + s for s in heights]},
    })  # fmt: skip
    _dump(folder / "cost.json", {
        "seconds": 20 + 5 * luck.random(), "peak_memory_mb": 900 + 100 * luck.random(),
        "data_wait_share": 0.02, "samples_per_second": 4200.0, "host": "somewhere",
    })  # fmt: skip
    _dump(folder / "looks.json", _film(skill, each, luck))
    for step in (0, 200, 400):
        grid = luck.integers(256, size=(24, 96), dtype=np.uint8)
        Image.fromarray(grid).resize((384, 96)).save(
            folder / "pictures" / f"reconstruction-step{step:06d}.png"
        )
    return folder


def _film(skill: float, each: int, luck: np.random.Generator) -> dict[str, object]:
    """Looks at which classes part from one another, and fewer are confused."""
    looks = (0, 100, 200, 400)
    labels = luck.integers(NUM_CLASSES, size=200)
    ring = np.stack([np.cos(labels * 1.57), np.sin(labels * 1.57)], 1)
    noise = luck.normal(size=(200, 2))
    maps = [2 * skill * step / looks[-1] * ring + noise for step in looks]
    return {
        "step": looks,
        "flops": [each * step for step in looks],
        "x": [points[:, 0].tolist() for points in maps],
        "y": [points[:, 1].tolist() for points in maps],
        "confusion": [_confusion(step / looks[-1]) for step in looks],
        "label": labels.tolist(),
        "classes": [f"class {index}" for index in range(NUM_CLASSES)],
    }


def _confusion(progress: float) -> list[list[int]]:
    """Counts of 100 items of each class; all classes alike at first, two thirds right at last."""
    right = 1 / NUM_CLASSES + progress * (2 / 3 - 1 / NUM_CLASSES)
    wrong = (1 - right) / (NUM_CLASSES - 1)
    shares = np.full((NUM_CLASSES, NUM_CLASSES), wrong) + np.eye(NUM_CLASSES) * (right - wrong)
    return (100 * shares).round().astype(int).tolist()


def fabricate_sounds(folder: Path, luck: np.random.Generator) -> None:
    """MP3 files of half a second, as a run on audio leaves them."""
    time = np.arange(4000) / 8000
    for name in ("input", "reconstruction", "traversal-1", "neighbours"):
        for step in (0, 400):
            wave = 0.5 * np.sin(2 * np.pi * 440 * time)
            if name != "input":
                wave += (0.1 if step else 0.3) * luck.normal(size=len(time))
            path = folder / f"{name}-step{step:06d}.mp3"
            soundfile.write(path, np.clip(wave, -1, 1), 8000, format="MP3")


def _dump(path: Path, document: dict) -> None:
    path.write_text(json.dumps(document))


GRID = {
    "raw": ("control", {0.01: -0.4, 0.1: 0.3, 1.0: 0.8}),
    "untrained": ("control", {0.01: -0.6, 0.1: 0.1, 1.0: 0.5}),
    "cross_entropy": ("supervised", {0.01: 0.2, 0.1: 0.9, 1.0: 1.6}),
    "autoencoder": ("unsupervised", {0.01: 0.0, 0.1: 0.5, 1.0: 0.9}),
    "simclr": ("self_supervised", {0.01: 1.0, 0.1: 1.3, 1.0: 1.6}),
}


def fabricate_grid(root: Path, *, num_seeds: int = 3, **settings) -> list[Entry]:
    """Self-supervised wins clearly at 1 %; supervised and self-supervised tie at 100 %."""
    return [
        fabricate(root, objective, paradigm, skill, seed=seed, **settings)
        for objective, (paradigm, skill) in GRID.items()
        for seed in range(1 if objective == "raw" else num_seeds)
    ]
