"""Compose every cell of the grid; write, per stage and cell, only what that stage reads."""

import shutil
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

from _house import clear_errors
from trivium.config import plain, prune, register, targets
from trivium.fingerprint import code_digest

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"
CELLS = ROOT / "outputs" / "cells"
HOUSE = {"run": {"dir": "."}, "output_subdir": None}
HEADER = "# Written by pipelines/resolve.py from conf/; edit that instead.\n"


def main() -> None:
    register()
    grid: Any = OmegaConf.to_container(OmegaConf.load(CONF / "pipeline" / "default.yaml"))
    objectives = {
        path.stem: f"{path.parent.name}/{path.stem}" for path in CONF.glob("objective/*/*.yaml")
    }
    wanted: dict[Path, str] = {}
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for dataset in grid["datasets"]:
            folder = CELLS / "data" / dataset
            wanted[folder / "prepare.yaml"] = prepare_cell(dataset)
            wanted[folder / "probe.yaml"] = probe_cell(dataset)
        for cell in grid["cells"]:
            dataset, method = split(cell, grid["datasets"], objectives)
            overrides = (grid.get("overrides") or {}).get(dataset) or []
            choices = [f"data={dataset}", f"objective={objectives[method]}", *overrides]
            wanted[CELLS / cell / "pretrain.yaml"] = pretrain_cell(choices)
            wanted[CELLS / cell / "probe.yaml"] = probe_cell(dataset)
        wanted[CELLS / "compare.yaml"] = compare_cell(grid)
    wanted[CELLS / "bind.yaml"] = HEADER + yaml.safe_dump({"cells": grid["cells"]})
    write(wanted)


def split(cell: str, datasets: list[str], objectives: dict[str, str]) -> tuple[str, str]:
    """Dataset and method of a cell."""
    dataset, _, method = cell.partition("-")
    if dataset not in datasets or method not in objectives:
        raise ValueError(
            f"conf/pipeline: the cell {cell!r} is not DATASET-METHOD with a dataset of "
            f"{', '.join(datasets)} and a method of {', '.join(sorted(objectives))}."
        )
    return dataset, method


def composed(name: str, overrides: list[str]) -> dict[str, Any]:
    """A composed config as plain values."""
    config = compose(name, overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    return plain(config)


def prepare_cell(dataset: str) -> str:
    """What `prepare` reads."""
    values = composed("prepare", [f"data={dataset}"])
    return text(values, ["trivium.data.catalogue", values["data"]["parser"]])


def pretrain_cell(overrides: list[str]) -> str:
    """What `pretrain` reads: of the views, only the recipe that the objective asks for."""
    values = prune(composed("pretrain", overrides))
    return text(values, ["trivium.pretraining.run", *targets(values)])


def probe_cell(dataset: str) -> str:
    """What `probe` reads."""
    return text(
        composed("probe", [f"data={dataset}", "checkpoint=raw"]),
        ["trivium.probes.protocol", "trivium.embedding", "trivium.encoders.raw"],
    )


def compare_cell(grid: dict[str, Any]) -> str:
    """What `compare` reads: the names of the cells."""
    values = {"datasets": grid["datasets"], "cells": grid["cells"], "seeds": grid["seeds"]}
    return text({**composed("compare", []), **values}, ["trivium.comparison.report"])


def text(values: dict[str, Any], modules: list[str]) -> str:
    """A resolved config as yaml that Hydra can start from."""
    values = {**values, "code": code_digest(modules)}
    defaults = ["_self_", {"override hydra/job_logging": "stdout"}]
    content = {"defaults": defaults, **values, "hydra": HOUSE}
    return HEADER + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def write(wanted: dict[Path, str]) -> None:
    """Write what changed, and remove what left the grid."""
    for path, content in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text() != content:
            path.write_text(content)
    for path in sorted(CELLS.rglob("*"), reverse=True):
        if path.is_file() and path not in wanted:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            shutil.rmtree(path)
    print(f"resolved {len(wanted)} configs")


if __name__ == "__main__":
    clear_errors(lambda _: main())(None)
