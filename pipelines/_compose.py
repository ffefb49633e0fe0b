"""Composing a pipeline's config outside of its own entry point."""

import functools
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_class
from omegaconf import OmegaConf, open_dict

from trivium.config import plain, register

if TYPE_CHECKING:
    from trivium.types import Kind, Needs

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"


def composed(name: str, overrides: list[str]) -> dict[str, Any]:
    """A composed config as plain values."""
    register()
    before = HydraConfig.instance().cfg
    inside = GlobalHydra.instance().is_initialized()  # an entry point composed itself from conf/
    context = nullcontext() if inside else initialize_config_dir(str(CONF), version_base="1.3")
    with context:
        config = compose(name, overrides, return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        with open_dict(config):
            del config["hydra"]
        try:
            return plain(config)
        finally:
            HydraConfig.instance().cfg = before


def read_grid(name: str) -> dict[str, Any]:
    """A grid of `conf/pipeline`; what it leaves open is as in the grid that it names as `base`.

    But it fine-tunes only what it names itself.
    """
    grid: Any = OmegaConf.to_container(OmegaConf.load(CONF / "pipeline" / f"{name}.yaml"))
    return {**read_grid(grid["base"]), "finetuned": [], **grid} if "base" in grid else dict(grid)


def compared(grid: dict[str, Any]) -> dict[str, Any]:
    """What a grid's report compares: the cells of its base and its own; of a ladder its own."""
    rungs = list(grid.get("rungs", ()))
    grids = [read_grid(grid["base"]), grid] if "base" in grid and not rungs else [grid]
    return {
        "rungs": rungs,
        "datasets": [] if rungs else grid["datasets"],  # raw inputs do not grow
        "seeds": grid["seeds"],
        "cells": [cell for one in grids for cell in one["cells"]],
        "finetuned": [cell for one in grids for cell in one["finetuned"]],
        "folders": [one["folder"] for one in grids],
    }


def objectives() -> dict[str, str]:
    """The choice PARADIGM/METHOD of every METHOD that has a yaml."""
    found = CONF.glob("objective/*/*.yaml")
    return {path.stem: f"{path.parent.name}/{path.stem}" for path in found}


def rest(base: dict[str, Any]) -> list[str]:
    """The cells of every objective on every dataset of a grid that the grid itself leaves out."""
    known = sorted(objectives().values())
    needs = {path: needs_of(path) for path in known}
    cells = [
        f"{dataset}-{path.split('/')[1]}"
        for dataset in base["datasets"]
        for path in known
        if kind(dataset) in needs[path].modalities
    ]
    return [cell for cell in cells if cell not in base["cells"]]


def climbed(grid: dict[str, Any]) -> list[str]:
    """The cells of a ladder: every way on every rung."""
    return [f"{way}-{rung}" for rung in grid["rungs"] for way in grid["ways"]]


def needs_of(path: str) -> "Needs":
    """What the objective PARADIGM/METHOD needs, by its yaml."""
    from trivium.types import Objective  # torch: not for --help

    target = OmegaConf.load(CONF / "objective" / f"{path}.yaml").objective._target_
    kind = get_class(target)
    assert issubclass(kind, Objective)
    return kind.needs


@functools.cache
def modality_of(dataset: str) -> str:
    """What a dataset is of; DATASET.PART is one of several modalities alone."""
    name, _, part = dataset.partition(".")
    return part or str(composed("prepare", [f"data={name}"])["data"]["modality"])


def kind(dataset: str) -> "Kind":
    """What an objective calls it: a modality, or several."""
    from trivium.types import kind_of

    return kind_of(cast(Any, modality_of(dataset)))


def data_choices(dataset: str) -> list[str]:
    """The overrides that choose DATASET or DATASET.PART."""
    name, _, part = dataset.partition(".")
    return [f"data={name}", *([f"part={part}"] if part else [])]


def cell_choices(cell: str, grid: dict[str, Any]) -> list[str]:
    """The overrides that make a cell of a grid.

    Raises:
        ValueError: if the cell is not DATASET-METHOD (or DATASET.PART-METHOD) of the grid's
            datasets and known methods; of a ladder DATASET-METHOD-RUNG.
    """
    dataset, method, rung = parts_of(cell)
    name, _, part = dataset.partition(".")
    known = objectives()
    if name not in grid["datasets"] or method not in known:
        raise ValueError(
            f"conf/pipeline: the cell {cell!r} is not DATASET-METHOD with a dataset of "
            f"{', '.join(grid['datasets'])} and a method of {', '.join(sorted(known))}."
        )
    if part and part not in modality_of(name).split("+"):
        raise ValueError(
            f"conf/pipeline: the cell {cell!r} asks for {part} alone, but {name} is "
            f"{modality_of(name)}."
        )
    own = (grid.get("overrides") or {}).get(dataset) or []
    rungs = grid.get("rungs", {"": []})
    if rung not in rungs:
        raise ValueError(
            f"conf/pipeline: the cell {cell!r} names the rung {rung!r}; expected one of: "
            f"{', '.join(rungs) or 'none'}."
        )
    return [*data_choices(dataset), f"objective={known[method]}", *own, *rungs[rung]]


def parts_of(cell: str) -> tuple[str, str, str]:
    """Dataset, method and rung of a cell; the rung is empty where the grid is no ladder."""
    dataset, _, rest = cell.partition("-")
    method, _, rung = rest.partition("-")
    return dataset, method, rung
