"""Compose every cell of a grid; write, per stage and cell, only what that stage reads."""

import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from _compose import ROOT, cell_choices, compared, composed, data_choices, modality_of, read_grid
from _house import clear_errors
from trivium.config import prune, targets
from trivium.fingerprint import code_digest

HOUSE = {"run": {"dir": "."}, "output_subdir": None}
RAW = {
    "image": "trivium.encoders.raw",
    "text": "trivium.tfidf",
    "audio": "trivium.encoders.mel_statistics",
}
"""What makes the control `raw`, by modality."""
FINETUNING = "trivium.pretraining.finetuned"
PROBES = [
    *(f"trivium.probes.{name}" for name in ("protocol", "label_free", "sensitivity")),
    "trivium.embedding",
]
SEVERAL = [
    f"trivium.probes.{name}"
    for name in ("pairs", "pair_controls", "linear_retrieval", "zero_shot", "examples")
]
"""What measures samples of several modalities besides, and one of their modalities alone."""
HEADER = "# Written by pipelines/resolve.py from conf/; edit that instead.\n"


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "default"
    grid = read_grid(name)
    wanted: dict[str, str] = {}
    if "base" not in grid:  # else the datasets are those of another grid
        for dataset in grid["datasets"]:
            wanted[f"data/{dataset}/prepare.yaml"] = prepare_cell(dataset)
            wanted[f"data/{dataset}/probe.yaml"] = probe_cell(dataset, grid)
    for cell in grid["cells"]:
        wanted[f"{cell}/pretrain.yaml"] = pretrain_cell(cell_choices(cell, grid))
        wanted[f"{cell}/probe.yaml"] = probe_cell(cell.partition("-")[0], grid)
    for cell in own_finetuned(grid):
        wanted[f"{cell}/finetune.yaml"] = finetune_cell(cell.partition("-")[0])
    wanted["compare.yaml"] = compare_cell(grid)
    wanted["bind.yaml"] = HEADER + yaml.safe_dump({"cells": grid["cells"]})
    write(ROOT / grid["folder"] / "cells", wanted)


def prepare_cell(dataset: str) -> str:
    """What `prepare` reads."""
    values = composed("prepare", [f"data={dataset}"])
    return text(values, ["trivium.data.catalogue", values["data"]["parser"]])


def pretrain_cell(overrides: list[str]) -> str:
    """What `pretrain` reads: of the views, only the recipe that the objective asks for."""
    values = prune(composed("pretrain", overrides))
    return text(values, ["trivium.pretraining.run", *targets(values)])


def probe_cell(dataset: str, grid: dict[str, Any]) -> str:
    """What `probe` reads: of the views, only those of the data's modalities."""
    modalities = modality_of(dataset).split("+")
    values = composed("probe", [*data_choices(dataset), "checkpoint=raw"])
    seen = {*modalities, *(["wave"] if "audio" in modalities else [])}
    views = values["label_free"]["views"]
    values["label_free"]["views"] = {one: views[one] for one in views if one in seen}
    values["more_tasks"] = (grid.get("more_tasks") or {}).get(dataset) or []
    modules = [*PROBES, *(RAW[one] for one in modalities), *targets(values["label_free"])]
    if len(modalities) > 1 or "." in dataset:
        modules += SEVERAL
    return text(values, modules)


def own_finetuned(grid: dict[str, Any]) -> list[str]:
    """The cells that a grid fine-tunes.

    Raises:
        ValueError: if one is not trained there.
    """
    unknown = [cell for cell in grid["finetuned"] if cell not in grid["cells"]]
    if unknown:
        raise ValueError(
            f"conf/pipeline: {', '.join(unknown)} of `finetuned` would have to stand in `cells`, "
            "where what is fine-tuned is trained."
        )
    return list(grid["finetuned"])


def finetune_cell(dataset: str) -> str:
    """What `finetune` reads; the checkpoint is named by the stage."""
    values = prune(composed("finetune", [*data_choices(dataset), "checkpoint=raw"]))
    return text(values, [FINETUNING, *targets(values)])


def compare_cell(grid: dict[str, Any]) -> str:
    """What `compare` reads: the names of the cells, and where their results lie."""
    values = {"report": f"{grid['folder']}/report", **compared(grid)}
    page = "ladder" if values["rungs"] else "report"
    return text({**composed("compare", []), **values}, [f"trivium.comparison.{page}"])


def text(values: dict[str, Any], modules: list[str]) -> str:
    """A resolved config as yaml that Hydra can start from."""
    values = {**values, "code": code_digest(modules)}
    defaults = ["_self_", {"override hydra/job_logging": "stdout"}]
    content = {"defaults": defaults, **values, "hydra": HOUSE}
    return HEADER + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def write(folder: Path, wanted: dict[str, str]) -> None:
    """Write what changed, and remove what left the grid."""
    files = {folder / name: content for name, content in wanted.items()}
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text() != content:
            path.write_text(content)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path not in files:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            shutil.rmtree(path)
    print(f"resolved {len(files)} configs")


if __name__ == "__main__":
    clear_errors(lambda _: main())(None)
