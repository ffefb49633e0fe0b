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
PROBES = ["trivium.probes.protocol", "trivium.probes.label_free", "trivium.embedding"]
SEVERAL = [f"trivium.probes.{name}" for name in ("pairs", "pair_controls", "zero_shot")]
"""What measures samples of several modalities besides."""
HEADER = "# Written by pipelines/resolve.py from conf/; edit that instead.\n"


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "default"
    grid = read_grid(name)
    wanted: dict[str, str] = {}
    if "base" not in grid:  # else the datasets are those of another grid
        for dataset in grid["datasets"]:
            wanted[f"data/{dataset}/prepare.yaml"] = prepare_cell(dataset)
            wanted[f"data/{dataset}/probe.yaml"] = probe_cell(dataset)
    for cell in grid["cells"]:
        wanted[f"{cell}/pretrain.yaml"] = pretrain_cell(cell_choices(cell, grid))
        wanted[f"{cell}/probe.yaml"] = probe_cell(cell.partition("-")[0])
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


def probe_cell(dataset: str) -> str:
    """What `probe` reads: of the views, only those of the data's modalities."""
    modalities = modality_of(dataset).split("+")
    values = composed("probe", [*data_choices(dataset), "checkpoint=raw"])
    seen = {*modalities, *(["wave"] if "audio" in modalities else [])}
    views = values["label_free"]["views"]
    values["label_free"]["views"] = {one: views[one] for one in views if one in seen}
    modules = [*PROBES, *(RAW[one] for one in modalities), *targets(values["label_free"])]
    if len(modalities) > 1:
        modules += SEVERAL
    return text(values, modules)


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
